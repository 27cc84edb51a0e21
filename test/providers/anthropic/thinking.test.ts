import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonObject } from '../../../src/core/json.ts';
import { messagesLackThinking } from '../../../src/providers/anthropic/relay-messages.ts';
import type { AskChanges } from '../kit.ts';
import { expectSent, type Sent, send, USER } from './kit.ts';

type Capabilities = NonNullable<AskChanges['capabilities']>;

const ADAPTIVE: Capabilities = { thinking: 'adaptive' };
const BUDGET: Capabilities = { thinking: 'budget', maxOutput: 64_000 };

/** What is sent of thinking. */
function thinkingSent(body: JsonObject, capabilities: Capabilities) {
  const { sent, dropped } = send(body, { capabilities });
  const { thinking, output_config: config } = sent as Partial<Sent>;
  return [thinking ?? null, config?.effort ?? null, [...dropped]];
}

function refusesStrictly(body: JsonObject, capabilities: Capabilities, param: string) {
  assert.throws(() => send(body, { capabilities, strict: true }), { name: 'Unsupported', param });
}

describe('An effort', () => {
  it('is an effort where thinking adapts itself, which it is taken to do where nothing is known', () => {
    for (const capabilities of [ADAPTIVE, {}]) {
      expectSent(
        { reasoning_effort: 'high' },
        { thinking: { type: 'adaptive' }, output_config: { effort: 'high' } },
        { capabilities },
      );
      for (const [asked, sent] of [
        ['minimal', 'low'],
        ['low', 'low'],
        ['medium', 'medium'],
        ['xhigh', 'xhigh'],
        ['max', 'max'],
      ] as const) {
        assert.deepEqual(thinkingSent({ reasoning_effort: asked }, capabilities), [
          { type: 'adaptive' },
          sent,
          [],
        ]);
      }
    }
  });

  it('is the nearest that the model takes, and named if it is another', () => {
    const some: Capabilities = { ...ADAPTIVE, efforts: ['low', 'medium', 'high', 'max'] };
    assert.deepEqual(thinkingSent({ reasoning_effort: 'max' }, some), [{ type: 'adaptive' }, 'max', []]);
    assert.deepEqual(thinkingSent({ reasoning_effort: 'xhigh' }, some), [
      { type: 'adaptive' },
      'high',
      ['reasoning_effort'],
    ]);
    const few: Capabilities = { ...ADAPTIVE, efforts: ['high'] };
    assert.deepEqual(thinkingSent({ reasoning_effort: 'low' }, few)[1], 'high');
    const rest: Capabilities = { ...ADAPTIVE, efforts: ['none', 'high'] };
    assert.deepEqual(thinkingSent({ reasoning_effort: 'low' }, rest)[1], 'high');
    const none: Capabilities = { ...ADAPTIVE, efforts: [] };
    assert.deepEqual(thinkingSent({ reasoning_effort: 'low' }, none), [
      { type: 'adaptive' },
      null,
      ['reasoning_effort'],
    ]);
    refusesStrictly({ reasoning_effort: 'xhigh' }, some, 'reasoning_effort');
  });

  it('is a budget for models that think by one, which leaves room for the answer', () => {
    const budget = (effort: string, max_tokens = 64_000) =>
      thinkingSent({ reasoning_effort: effort, max_tokens }, BUDGET);
    assert.deepEqual(budget('minimal'), [{ type: 'enabled', budget_tokens: 1024 }, null, []]);
    assert.deepEqual(budget('low'), [{ type: 'enabled', budget_tokens: 2048 }, null, []]);
    assert.deepEqual(budget('medium'), [{ type: 'enabled', budget_tokens: 8192 }, null, []]);
    assert.deepEqual(budget('high'), [{ type: 'enabled', budget_tokens: 24_576 }, null, []]);
    assert.deepEqual(budget('max'), [{ type: 'enabled', budget_tokens: 49_152 }, null, []]);
    assert.deepEqual(budget('high', 4096), [{ type: 'enabled', budget_tokens: 3276 }, null, []]);
    assert.deepEqual(budget('low', 1280), [{ type: 'enabled', budget_tokens: 1024 }, null, []]);
    assert.deepEqual(budget('low', 1279), [{ type: 'disabled' }, null, ['reasoning_effort']]);
  });

  it('is left out for models that do not think', () => {
    const none: Capabilities = { thinking: 'none' };
    assert.deepEqual(thinkingSent({ reasoning_effort: 'high' }, none), [null, null, ['reasoning_effort']]);
    assert.deepEqual(thinkingSent({ reasoning_effort: 'none' }, none), [null, null, []]);
  });

  it('of none turns thinking off in the word of the model, or to the least there is', () => {
    const off = (thinkingOff: Capabilities['thinkingOff'] & string) =>
      thinkingSent({ reasoning_effort: 'none' }, { ...ADAPTIVE, thinkingOff });
    assert.deepEqual(off('disabled'), [{ type: 'disabled' }, null, []]);
    assert.deepEqual(off('low_effort'), [{ type: 'disabled' }, null, []]);
    assert.deepEqual(off('between_tools'), [{ type: 'between_tools' }, null, []]);
    assert.deepEqual(off('omit'), [null, 'low', ['reasoning_effort']]);
  });

  it('says nothing where nothing is asked for', () => {
    for (const capabilities of [ADAPTIVE, BUDGET, {}])
      assert.deepEqual(thinkingSent({}, capabilities), [null, null, []]);
  });
});

describe("Anthropic's own thinking, sent through chat", () => {
  const chat = (thinking: JsonObject, more: JsonObject = {}) => ({ thinking, ...more });

  it('is taken in the form that the model has', () => {
    const enabled = { type: 'enabled', budget_tokens: 5000 };
    const adaptive = { type: 'adaptive', display: 'omitted' };
    assert.deepEqual(thinkingSent(chat(enabled), ADAPTIVE), [{ type: 'adaptive' }, null, []]);
    assert.deepEqual(thinkingSent(chat(enabled), BUDGET), [
      { type: 'enabled', budget_tokens: 5000 },
      null,
      [],
    ]);
    assert.deepEqual(thinkingSent(chat({ ...enabled, budget_tokens: 10 }), BUDGET)[0], {
      type: 'enabled',
      budget_tokens: 1024,
    });
    assert.deepEqual(thinkingSent(chat(adaptive, { reasoning_effort: 'low' }), ADAPTIVE), [
      adaptive,
      'low',
      [],
    ]);
    assert.deepEqual(thinkingSent(chat(adaptive), BUDGET)[0], {
      type: 'enabled',
      budget_tokens: 8192,
      display: 'omitted',
    });
    assert.deepEqual(
      thinkingSent(chat({ type: 'disabled' }), { ...ADAPTIVE, thinkingOff: 'between_tools' })[0],
      {
        type: 'between_tools',
      },
    );
    assert.deepEqual(thinkingSent(chat(enabled), { thinking: 'none' }), [null, null, ['thinking']]);
  });

  it('is left out and named where it is nothing that is known', () => {
    assert.deepEqual(thinkingSent(chat({ type: 'deep' }), ADAPTIVE), [null, null, ['thinking']]);
    assert.deepEqual(thinkingSent({ thinking: true }, ADAPTIVE), [null, null, ['thinking']]);
  });
});

describe('With thinking', () => {
  it('nothing of sampling is sent', () => {
    for (const capabilities of [ADAPTIVE, BUDGET]) {
      const body = { reasoning_effort: 'high', temperature: 0.2, top_p: 0.9, top_k: 3 };
      const { sent, dropped } = send(body, { capabilities });
      assert.deepEqual(dropped, ['temperature', 'top_p', 'top_k']);
      for (const name of ['temperature', 'top_p', 'top_k']) assert.ok(!(name in sent));
      assert.equal(send({ ...body, reasoning_effort: 'none' }, { capabilities }).sent['temperature'], 0.2);
    }
  });

  it('no tool is forced: the call is kept, and thinking goes', () => {
    const tools = [{ type: 'function', function: { name: 'f' } }];
    for (const tool_choice of ['required', { type: 'function', function: { name: 'f' } }]) {
      const body = { reasoning_effort: 'max', tools, tool_choice, max_tokens: 20_000 };
      assert.deepEqual(thinkingSent(body, BUDGET), [{ type: 'disabled' }, null, ['reasoning_effort']]);
      assert.deepEqual(thinkingSent(body, { ...ADAPTIVE, thinkingOff: 'low_effort' }), [
        { type: 'disabled' },
        'high',
        ['reasoning_effort'],
      ]);
      assert.notEqual(
        (send(body, { capabilities: BUDGET }).sent['tool_choice'] as JsonObject)['type'],
        'auto',
      );
      // What cannot be forced does not stand in the way.
      assert.deepEqual(thinkingSent(body, { ...ADAPTIVE, forcedTools: false }), [
        { type: 'adaptive' },
        'max',
        ['tool_choice'],
      ]);
      refusesStrictly(body, BUDGET, 'reasoning_effort');
    }
    assert.deepEqual(thinkingSent({ reasoning_effort: 'low', tools, tool_choice: 'none' }, BUDGET)[2], []);
  });
});

describe('In a loop of tool calls with a budget for thinking', () => {
  const blocks = [{ type: 'thinking', thinking: 'Hm', signature: 'sig' }];
  const answer = (id: string, thought: boolean) => ({
    role: 'assistant',
    ...(thought ? { thinking_blocks: blocks } : {}),
    tool_calls: [{ id, type: 'function', function: { name: 'f', arguments: '{}' } }],
  });
  const result = (id: string) => ({ role: 'tool', tool_call_id: id, content: 'R' });
  const tools = [{ type: 'function', function: { name: 'f' } }];
  const ON = { type: 'enabled', budget_tokens: 2048 };
  const OFF = { type: 'disabled' };
  const cases: [string, JsonObject[], JsonObject][] = [
    ['it thinks if the thoughts are there', [USER, answer('a', true), result('a')], ON],
    ['it does not if they are lost', [USER, answer('a', false), result('a')], OFF],
    [
      'it does not if they are lost, whatever the user says beside the result',
      [USER, answer('a', false), result('a'), USER],
      OFF,
    ],
    [
      'it thinks if an answer to a result has none, for it need not',
      [USER, answer('a', true), result('a'), answer('b', false), result('b')],
      ON,
    ],
    [
      'it does not if the first answer has none',
      [USER, answer('a', false), result('a'), answer('b', true), result('b')],
      OFF,
    ],
    [
      'it does not if an answer to what the user said beside a result has none',
      [USER, answer('a', true), result('a'), USER, answer('b', false), result('b')],
      OFF,
    ],
    [
      'it thinks after an earlier loop that lost them',
      [USER, answer('a', false), result('a'), { role: 'assistant', content: 'A' }, USER],
      ON,
    ],
  ];
  for (const [name, messages, expected] of cases) {
    it(name, () => {
      const body = { messages, tools, reasoning_effort: 'low', max_tokens: 10_000 };
      const [thinking, , dropped] = thinkingSent(body, BUDGET);
      assert.deepEqual(thinking, expected);
      assert.deepEqual(dropped, expected === OFF ? ['reasoning_effort'] : []);
      // The same rule holds for what is sent.
      assert.equal(
        messagesLackThinking(send(body, { capabilities: BUDGET }).sent['messages'] as JsonObject[]),
        expected === OFF,
      );
      // Where thinking adapts itself it does not matter.
      assert.deepEqual(thinkingSent(body, ADAPTIVE)[0], { type: 'adaptive' });
    });
  }

  it('it does not where an answer is to be gone on with, which then has no thoughts', () => {
    const messages = [USER, { role: 'assistant', content: 'It is', thinking_blocks: blocks }];
    const capabilities: Capabilities = { ...BUDGET, prefill: true };
    assert.deepEqual(thinkingSent({ messages, reasoning_effort: 'low' }, capabilities), [
      OFF,
      null,
      ['reasoning_effort'],
    ]);
    assert.doesNotMatch(
      JSON.stringify(send({ messages, reasoning_effort: 'low' }, { capabilities })),
      /signature/,
    );
  });
});
