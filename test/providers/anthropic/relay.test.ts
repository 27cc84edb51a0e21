import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Json, JsonObject } from '../../../src/core/json.ts';
import { anthropic } from '../../../src/providers/anthropic/adapter.ts';
import { type AskChanges, askFor, fixedFacts, plain, sentJson, sentText } from '../kit.ts';
import { message, type Sent, STRICTEST, toolUse } from './kit.ts';

const HELLO = { role: 'user', content: 'Hello' };

/** A request in Anthropic's words with this in it, and what of it is sent otherwise: new, changed, or null for what is gone. */
function relay(
  more: JsonObject,
  changes: AskChanges = {},
): { changed: JsonObject; dropped: readonly string[] } {
  const body = { model: 'target-model', max_tokens: 1000, messages: [HELLO], ...more };
  const prepared = anthropic.prepare(askFor(body, { dialect: 'messages', ...changes }));
  const sent: JsonObject = sentJson(prepared);
  const changed: [string, Json][] = [];
  for (const name of new Set([...Object.keys(body), ...Object.keys(sent)])) {
    const [before, after] = [(body as JsonObject)[name], sent[name]];
    if (JSON.stringify(before) !== JSON.stringify(after)) changed.push([name, after ?? null]);
  }
  return { changed: Object.fromEntries(changed), dropped: prepared.dropped };
}

function refuses(more: JsonObject, param: string, changes: AskChanges = {}) {
  assert.throws(() => relay(more, changes), { name: 'Unsupported', param });
}

describe('A request in Anthropic’s words', () => {
  it('passes byte for byte, but for the model', () => {
    const text =
      '{ "max_tokens" : 1.0e2,\n "messages":[{"role":"user", "content":"\\u0041"}],  "model" : "alias", "x":{ } }';
    const same = text.replace('alias', 'target-model');
    assert.equal(sentText(anthropic.prepare(askFor(same, { dialect: 'messages' }))), same);
    assert.equal(
      sentText(anthropic.prepare(askFor(text, { dialect: 'messages' }))),
      '{"max_tokens" : 1.0e2,\n "messages":[{"role":"user", "content":"\\u0041"}],"model":"target-model","x":{ }}',
    );
  });

  it('passes with all that a newer client may say, streaming or not', () => {
    const more = {
      stream: true,
      system: [{ type: 'text', text: 'S', cache_control: { type: 'ephemeral' } }],
      tools: [{ type: 'web_search_20260318', name: 'web_search' }],
      thinking: { type: 'something_new' },
      context_management: { edits: [] },
      temperature: 0.3,
      top_p: 0.9,
    };
    for (const capabilities of [{}, { thinking: 'adaptive', laterSystem: true } as const]) {
      assert.deepEqual(relay(more, { capabilities }), { changed: {}, dropped: [] });
    }
  });

  it('takes overrides, by OpenAI’s names too, and leaves out those that only OpenAI has', () => {
    const overrideParams = {
      model: 'other',
      messages: [],
      stream: true,
      max_tokens: 5,
      max_completion_tokens: 7,
      stop: 'END',
      temperature: 0.5,
      n: 2,
      seed: 1,
      response_format: { type: 'json_object' },
      parallel_tool_calls: false,
      metadata: { team: 'a' },
      service_tier: 'default',
      tool_choice: 'required',
      tools: [{ type: 'function', function: { name: 'f' } }],
      inference_geo: 'eu',
    };
    assert.deepEqual(relay({}, { overrideParams }), {
      changed: {
        max_tokens: 7,
        stop_sequences: ['END'],
        temperature: 0.5,
        service_tier: 'standard_only',
        tool_choice: { type: 'any' },
        inference_geo: 'eu',
      } satisfies Partial<Sent>,
      dropped: [],
    });
  });

  it('loses what an override takes out, but not what must be there', () => {
    const more = { temperature: 0.2, stop_sequences: ['x'], metadata: { user_id: 'u' } };
    const overrideParams = {
      temperature: null,
      stop: null,
      metadata: null,
      max_tokens: null,
      max_completion_tokens: null,
    };
    assert.deepEqual(relay(more, { overrideParams }).changed, {
      temperature: null,
      stop_sequences: null,
      metadata: null,
    });
    assert.deepEqual(relay({}, { overrideParams: { max_completion_tokens: 7, max_tokens: 5 } }).changed, {
      max_tokens: 7,
    });
    const named = { tool_choice: { type: 'function', function: { name: 'f' } }, metadata: { user_id: 'v' } };
    assert.deepEqual(relay({}, { overrideParams: named }).changed, {
      tool_choice: { type: 'tool', name: 'f' },
      metadata: { user_id: 'v' },
    });
  });

  it('asks for no more than the model can write', () => {
    assert.deepEqual(relay({}, { capabilities: { maxOutput: 1000 } }), { changed: {}, dropped: [] });
    assert.deepEqual(relay({}, { capabilities: { maxOutput: 999 } }), {
      changed: { max_tokens: 999 },
      dropped: [],
    });
  });

  it('loses what the model refuses of sampling, by name', () => {
    const capabilities = { refuses: STRICTEST.refuses };
    const more = { temperature: 0.5, top_p: 0.9, top_k: 1 };
    assert.deepEqual(relay(more, { capabilities }), {
      changed: { temperature: null, top_p: null, top_k: null },
      dropped: ['temperature', 'top_p', 'top_k'],
    });
    assert.deepEqual(relay({ temperature: 1 }, { capabilities, strict: true }).dropped, []);
    refuses({ temperature: 0.5 }, 'temperature', { capabilities, strict: true });
    // What the target says is not the client's loss.
    assert.deepEqual(relay({}, { capabilities, overrideParams: { temperature: 0.5 } }), {
      changed: {},
      dropped: [],
    });
  });

  it('has one of temperature and top_p where the target says either', () => {
    assert.deepEqual(relay({ top_p: 0.9 }, { overrideParams: { temperature: 0.5 } }), {
      changed: { temperature: 0.5, top_p: null },
      dropped: ['top_p'],
    });
    assert.deepEqual(relay({ temperature: 0.5 }, { overrideParams: { top_p: 0.9 } }), {
      changed: { temperature: null, top_p: 0.9 },
      dropped: ['temperature'],
    });
  });

  it('forces no call where that is refused', () => {
    const tools = [
      { name: 'f', input_schema: { type: 'object' } },
      { name: 'g', input_schema: { type: 'object' } },
    ];
    const changes = { capabilities: { forcedTools: false } };
    const any = { type: 'any', disable_parallel_tool_use: true };
    assert.deepEqual(relay({ tools, tool_choice: any }, changes), {
      changed: { tool_choice: { type: 'auto', disable_parallel_tool_use: true } },
      dropped: ['tool_choice'],
    });
    assert.deepEqual(relay({ tools, tool_choice: { type: 'tool', name: 'g' } }, changes), {
      changed: { tool_choice: { type: 'auto' }, tools: tools.slice(1) },
      dropped: ['tool_choice'],
    });
    for (const type of ['auto', 'none']) {
      assert.deepEqual(relay({ tools, tool_choice: { type } }, changes), { changed: {}, dropped: [] });
    }
    assert.deepEqual(relay({ tools, tool_choice: any }), { changed: {}, dropped: [] });
    refuses({ tools, tool_choice: any }, 'tool_choice', { ...changes, strict: true });
  });

  it('is refused where it ends with a text of the assistant that the model does not go on from', () => {
    for (const content of ['It is', [{ type: 'text', text: 'It is' }]]) {
      const messages = [HELLO, { role: 'assistant', content }];
      refuses({ messages }, 'messages');
      assert.deepEqual(relay({ messages }, { capabilities: { prefill: true } }), {
        changed: {},
        dropped: [],
      });
      assert.deepEqual(relay({ messages }, { dialect: 'count_tokens' }).changed, {});
    }
    const paused = [{ type: 'server_tool_use', id: 'srvtoolu_1', name: 'web_search', input: {} }];
    assert.deepEqual(relay({ messages: [HELLO, { role: 'assistant', content: paused }] }).changed, {});
  });

  it('has later system messages in the prompt, where the model wants them there', () => {
    const later = { role: 'system', content: 'Now.' };
    const answer = { role: 'assistant', content: 'A' };
    const messages = [HELLO, later, answer, HELLO];
    assert.deepEqual(relay({ messages }, { capabilities: { laterSystem: true } }).changed, {});
    const rest = [HELLO, answer, HELLO];
    assert.deepEqual(relay({ messages }).changed, { messages: rest, system: 'Now.' });
    assert.deepEqual(relay({ messages, system: 'S' }).changed, { messages: rest, system: 'S\nNow.' });
    const marked = [{ type: 'text', text: 'S', cache_control: { type: 'ephemeral' } }];
    assert.deepEqual(relay({ messages, system: marked }).changed['system'], [
      ...marked,
      { type: 'text', text: 'Now.' },
    ]);
    const asUser = { role: 'user', content: 'Now.' };
    assert.deepEqual(relay({ messages: [HELLO, answer, later, later] }).changed, {
      messages: [HELLO, answer, asUser, asUser],
    });
    assert.deepEqual(relay({ messages: [HELLO, later, answer, later] }).changed, {
      messages: [HELLO, answer, asUser],
      system: 'Now.',
    });
    assert.deepEqual(relay({ messages: [later] }).changed, { messages: [asUser] });
    assert.deepEqual(relay({ messages: [HELLO, later] }).changed, { messages: [HELLO], system: 'Now.' });
  });

  it('loses what others than Claude left in the conversation and Anthropic would refuse', () => {
    const own = [
      { type: 'thinking', thinking: 'Hm', signature: 'sig' },
      { type: 'redacted_thinking', data: 'data' },
      { type: 'tool_use', id: 'toolu_1', name: 'f', input: {} },
    ];
    const result = { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'toolu_1', content: 'R' }] };
    assert.deepEqual(relay({ messages: [HELLO, { role: 'assistant', content: own }, result] }).changed, {});
    const found = {
      type: 'web_search_result_location',
      url: 'https://a.test/',
      title: null,
      cited_text: '',
      encrypted_index: '',
    };
    const kept = { ...found, encrypted_index: 'RXc' };
    const foreign = [
      { type: 'thinking', thinking: 'Hm', signature: '' },
      { type: 'thinking', thinking: 'Hm', signature: 'spillway:bedrock:x' },
      { type: 'text', text: 'So', citations: [found, kept] },
      { type: 'text', text: 'So', citations: [found] },
      { type: 'tool_use', id: 'functions.f:0', name: 'f', input: {} },
      { type: 'tool_use', id: '', name: 'f', input: {} },
    ];
    const messages = [
      HELLO,
      { role: 'assistant', content: foreign.slice(0, 2) },
      { role: 'assistant', content: foreign },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'functions.f:0', content: 'R' }] },
    ];
    assert.deepEqual(relay({ messages }).changed['messages'], [
      HELLO,
      {
        role: 'assistant',
        content: [
          { type: 'text', text: 'So', citations: [kept] },
          { type: 'text', text: 'So', citations: null },
          { type: 'tool_use', id: 'functions_f_0', name: 'f', input: {} },
          { type: 'tool_use', id: '_', name: 'f', input: {} },
        ],
      },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'functions_f_0', content: 'R' }] },
    ]);
  });

  it('is marked for the prompt cache where the target is to be', () => {
    const long = 'word '.repeat(3000);
    const body = { system: long, messages: [{ role: 'user', content: long }] };
    assert.deepEqual(relay(body).changed, {});
    const { changed } = relay(body, { cacheMarkers: true });
    assert.deepEqual(changed['system'], [{ type: 'text', text: long, cache_control: { type: 'ephemeral' } }]);
  });

  it('is marked as it is sent, not as it came', () => {
    const long = 'word '.repeat(3000);
    const messages = [HELLO, { role: 'system', content: long }, { role: 'assistant', content: 'A' }, HELLO];
    const { changed } = relay({ messages }, { cacheMarkers: true });
    assert.deepEqual(changed['system'], [{ type: 'text', text: long, cache_control: { type: 'ephemeral' } }]);
    assert.doesNotMatch(JSON.stringify(changed['messages']), /system/);
  });
});

describe('Thinking in Anthropic’s words', () => {
  const ADAPTIVE = { thinking: 'adaptive' } as const;
  const BUDGET = { thinking: 'budget' } as const;
  const enabled = { type: 'enabled', budget_tokens: 2000 };
  const adaptive = { type: 'adaptive', display: 'omitted' };
  const think = (thinking: JsonObject, capabilities: AskChanges['capabilities'], more: JsonObject = {}) =>
    relay({ max_tokens: 20_000, thinking, ...more }, { capabilities: capabilities ?? {} });

  it('passes where the model takes it, and where nothing is known of it', () => {
    assert.deepEqual(think(adaptive, ADAPTIVE, { output_config: { effort: 'max' } }), {
      changed: {},
      dropped: [],
    });
    assert.deepEqual(think(enabled, BUDGET), { changed: {}, dropped: [] });
    for (const thinking of [enabled, adaptive, { type: 'disabled' }, { type: 'between_tools' }]) {
      assert.deepEqual(think(thinking, {}), { changed: {}, dropped: [] });
    }
    assert.deepEqual(relay({}, { capabilities: ADAPTIVE }).changed, {});
  });

  it('by a budget is adaptive where budgets are refused', () => {
    assert.deepEqual(think({ ...enabled, display: 'omitted' }, ADAPTIVE), {
      changed: { thinking: adaptive },
      dropped: ['thinking.budget_tokens'],
    });
  });

  it('that adapts itself has a budget where that is wanted, by its effort', () => {
    assert.deepEqual(think(adaptive, BUDGET), {
      changed: { thinking: { type: 'enabled', budget_tokens: 8192, display: 'omitted' } },
      dropped: [],
    });
    assert.deepEqual(think({ type: 'adaptive' }, BUDGET, { output_config: { effort: 'low' } }), {
      changed: { thinking: { type: 'enabled', budget_tokens: 2048 }, output_config: null },
      dropped: [],
    });
    const format = { type: 'json_schema', schema: {} };
    assert.deepEqual(
      think({ type: 'adaptive' }, BUDGET, { output_config: { effort: 'low', format } }).changed[
        'output_config'
      ],
      { format },
    );
    assert.deepEqual(think({ type: 'adaptive' }, BUDGET, { max_tokens: 1000 }), {
      changed: { thinking: { type: 'disabled' } },
      dropped: ['thinking'],
    });
  });

  it('keeps within an answer that was shortened', () => {
    const capabilities = { ...BUDGET, maxOutput: 10_000 };
    const { changed } = think({ type: 'enabled', budget_tokens: 15_000 }, capabilities);
    assert.deepEqual(changed, { max_tokens: 10_000, thinking: { type: 'enabled', budget_tokens: 8000 } });
  });

  it('is off in the word of the model', () => {
    const off = (thinking: JsonObject, thinkingOff: 'disabled' | 'low_effort' | 'between_tools' | 'omit') =>
      think(thinking, { ...ADAPTIVE, thinkingOff });
    const disabled = { type: 'disabled' };
    const between = { type: 'between_tools' };
    assert.deepEqual(off(disabled, 'disabled'), { changed: {}, dropped: [] });
    assert.deepEqual(off(between, 'between_tools'), { changed: {}, dropped: [] });
    assert.deepEqual(off(disabled, 'between_tools'), { changed: { thinking: between }, dropped: [] });
    assert.deepEqual(off(between, 'low_effort'), { changed: { thinking: disabled }, dropped: [] });
    assert.deepEqual(off(disabled, 'omit'), { changed: { thinking: null }, dropped: ['thinking'] });
  });

  it('is left out for models that do not think', () => {
    const none = { thinking: 'none' } as const;
    assert.deepEqual(think(enabled, none), { changed: { thinking: null }, dropped: ['thinking'] });
    assert.deepEqual(think({ type: 'disabled' }, none), { changed: { thinking: null }, dropped: [] });
  });

  it('comes with an effort that the model takes', () => {
    const effort = (asked: string, capabilities: AskChanges['capabilities'], thinking?: JsonObject) =>
      relay(
        { output_config: { effort: asked }, ...(thinking === undefined ? {} : { thinking }) },
        { capabilities: capabilities ?? {} },
      );
    const named = ['output_config.effort'];
    const some = { ...ADAPTIVE, efforts: ['low', 'high'] as const };
    assert.deepEqual(effort('xhigh', some), {
      changed: { output_config: { effort: 'high' } },
      dropped: named,
    });
    assert.deepEqual(effort('high', BUDGET), { changed: { output_config: null }, dropped: named });
    assert.deepEqual(effort('high', { ...BUDGET, efforts: ['high'] }), { changed: {}, dropped: [] });
    const bound = { ...ADAPTIVE, thinkingOff: 'low_effort' } as const;
    assert.deepEqual(effort('max', bound, { type: 'disabled' }), {
      changed: { output_config: { effort: 'high' } },
      dropped: named,
    });
    assert.deepEqual(effort('max', bound), { changed: {}, dropped: [] });
  });

  it('is what the target’s reasoning_effort says, and takes sampling with it', () => {
    const override = (
      reasoning_effort: string,
      capabilities: AskChanges['capabilities'],
      more: JsonObject = {},
    ) =>
      relay(
        { max_tokens: 20_000, ...more },
        { overrideParams: { reasoning_effort }, capabilities: capabilities ?? {} },
      );
    assert.deepEqual(override('low', ADAPTIVE, { output_config: { effort: 'max' } }), {
      changed: { thinking: { type: 'adaptive' }, output_config: { effort: 'low' } },
      dropped: [],
    });
    assert.deepEqual(override('low', BUDGET, { temperature: 0.5, top_p: 1 }), {
      changed: { thinking: { type: 'enabled', budget_tokens: 2048 }, temperature: null, top_p: null },
      dropped: ['temperature'],
    });
    assert.deepEqual(override('none', ADAPTIVE, { temperature: 0.5 }), {
      changed: { thinking: { type: 'disabled' } },
      dropped: [],
    });
  });

  it('with a budget is off where the thoughts of a loop of calls were not Claude’s', () => {
    const loop = (signature: string) => [
      HELLO,
      {
        role: 'assistant',
        content: [
          { type: 'thinking', thinking: 'Hm', signature },
          toolUse('a', 'f') as unknown as JsonObject,
        ],
      },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'a', content: 'R' }] },
    ];
    assert.deepEqual(think(enabled, BUDGET, { messages: loop('sig') }).changed, {});
    const lost = think(enabled, BUDGET, { messages: loop('') });
    assert.deepEqual(lost.changed['thinking'], { type: 'disabled' });
    assert.deepEqual(lost.dropped, ['thinking']);
    assert.deepEqual(think(adaptive, BUDGET, { messages: loop('') }).changed['thinking'], {
      type: 'disabled',
    });
    assert.equal(think(adaptive, ADAPTIVE, { messages: loop('') }).changed['thinking'], undefined);
  });
});

describe('A whole answer in Anthropic’s words', () => {
  const prepared = anthropic.prepare(
    askFor({ model: 'm', max_tokens: 1, messages: [HELLO] }, { dialect: 'messages' }),
  );

  it('passes as the bytes it came in', () => {
    const whole = message([
      { type: 'thinking', thinking: 'Hmm', signature: 'sig' },
      { type: 'text', text: 'Grüße', citations: null },
      toolUse('a', 'f', { b: 1 }),
      toolUse('b', 'g'),
      { type: 'server_tool_use', id: 'c', name: 'web_search', input: { q: 2 }, caller: { type: 'direct' } },
      { type: 'web_search_tool_result', tool_use_id: 'c', content: [], caller: { type: 'direct' } },
    ]) as unknown as JsonObject;
    const bytes = Buffer.from(` ${JSON.stringify(whole)}`);
    const reading = prepared.answer(fixedFacts()).plain(whole, bytes, {});
    assert.equal(reading.kind, 'answer');
    if (reading.kind !== 'answer') return;
    assert.equal(reading.body, bytes);
    assert.equal(reading.value, whole);
    assert.equal(reading.usage?.input, 1320);
    assert.equal(reading.usage?.output, 90);
    // 3 of thoughts, 7 of text in UTF-8, f, {"b":1}, g, web_search, {"q":2}
    assert.deepEqual(reading.output(), { characters: 3 + 7 + 1 + 7 + 1 + 10 + 7, reasoning: 3 });
  });

  it('is an error or broken as it is for others', () => {
    const error = { type: 'error', error: { type: 'overloaded_error', message: 'x' } };
    assert.deepEqual(plain(prepared, error), { kind: 'error', error });
    assert.equal(plain(prepared, { content: [] }).kind, 'broken');
    assert.equal(plain(prepared, { stop_reason: 'end_turn' }).kind, 'broken');
  });
});

describe('A question of how many tokens a request has', () => {
  const count = (more: JsonObject, changes: AskChanges = {}) =>
    anthropic.prepare(
      askFor({ model: 'm', messages: [HELLO], ...more }, { dialect: 'count_tokens', ...changes }),
    );

  it('passes with the overrides that it may have', () => {
    const overrideParams = { max_tokens: 5, temperature: 0.1, stop: 'x', system: 'S' };
    const prepared = count({ thinking: { type: 'adaptive' } }, { overrideParams });
    assert.equal(
      sentText(prepared),
      '{"model":"target-model","messages":[{"role":"user","content":"Hello"}],"thinking":{"type":"adaptive"},"system":"S"}',
    );
  });

  it('is answered with a number', () => {
    const reading = plain(count({}), { input_tokens: 12 });
    assert.equal(reading.kind, 'answer');
    if (reading.kind !== 'answer') return;
    assert.equal(reading.body.toString(), '{"input_tokens":12}');
    assert.equal(reading.usage, null);
    assert.deepEqual(reading.output(), { characters: 0, reasoning: 0 });
    assert.equal(plain(count({}), {}).kind, 'broken');
    assert.equal(plain(count({}), { type: 'error', error: {} }).kind, 'error');
  });
});
