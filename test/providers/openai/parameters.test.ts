import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ChatCompletionCreateParams } from 'openai/resources/chat/completions';
import type { ModelCapabilities } from '../../../src/capabilities/capabilities.ts';
import { Unsupported } from '../../../src/providers/adapter.ts';
import { nearestEffort } from '../../../src/providers/openai/effort.ts';
import { type AskOptions, HELLO, prepare, sent, textOf } from './helpers.ts';

const TOOL = { type: 'function', function: { name: 'f', parameters: { type: 'object' } } } as const;
const OTHER_TOOL = { type: 'function', function: { name: 'g' } } as const;

/** A model that reasons, as OpenAI's newer ones do. */
const REASONING: Partial<ModelCapabilities> = {
  refuses: new Set([
    'temperature',
    'top_p',
    'logprobs',
    'top_logprobs',
    'presence_penalty',
    'frequency_penalty',
  ]),
  takesAtNoEffort: new Set(['temperature', 'top_p']),
  efforts: ['none', 'low', 'medium', 'high'],
  maxCompletionTokens: true,
};

type Params = Omit<ChatCompletionCreateParams, 'model' | 'messages'>;

function fitted(params: Params | object, options: AskOptions = {}) {
  const { body, dropped } = sent({ model: 'up', messages: HELLO, ...params }, options);
  const { model, messages, ...rest } = body;
  assert.equal(model, 'up');
  assert.deepEqual(messages, HELLO);
  return { params: rest, dropped };
}

function unsupported(param: string, call: () => unknown): void {
  assert.throws(
    call,
    (error) => error instanceof Unsupported && error.param === param && /\.$/.test(error.message),
  );
}

describe('a chat for a model that takes everything', () => {
  it('goes out byte for byte', () => {
    const body = `{ "messages":[{"role":"user","content":"\\u0048i"}], "temperature": 1.0,"max_tokens":5,
      "tools":[],"reasoning_effort":"ultra", "n":1e0, "model":"up"}`;
    const prepared = prepare(body);
    assert.equal(textOf(prepared), body);
    assert.equal(prepared.path, '/chat/completions');
    assert.deepEqual([prepared.headers, prepared.dropped], [[], []]);
  });

  it("has the target's model and parameters, and all else as it came", () => {
    const body = '{"model":"smart","temperature":1.0,"seed":7,"messages":[{"role":"user","content":"Hi"}]}';
    const prepared = prepare(body, {
      overrideParams: { temperature: 0, seed: null, top_p: 0.5 },
      streaming: true,
    });
    assert.equal(
      textOf(prepared),
      '{"model":"up","temperature":0,"messages":[{"role":"user","content":"Hi"}],"top_p":0.5,"stream_options":{"include_usage":true}}',
    );
  });
});

describe('parameters that a model refuses', () => {
  it('are dropped, and named in the order of the request', () => {
    const { params, dropped } = fitted(
      { top_p: 0.3, stop: ['x'], presence_penalty: 0.5, temperature: 0.2 },
      { capabilities: REASONING },
    );
    assert.deepEqual(params, { stop: ['x'] });
    assert.deepEqual(dropped, ['top_p', 'presence_penalty', 'temperature']);
  });

  it('are dropped without a word where they say nothing', () => {
    const nothing = {
      temperature: 1,
      top_p: 1,
      presence_penalty: 0,
      frequency_penalty: 0,
      logprobs: false,
      top_logprobs: null,
    };
    assert.deepEqual(fitted(nothing, { capabilities: REASONING, strict: true }), { params: {}, dropped: [] });
    assert.deepEqual(
      fitted(nothing),
      { params: nothing, dropped: [] },
      'and stay where the model takes them',
    );
  });

  it('are sent where no effort is asked for and the model takes them then', () => {
    const params = { reasoning_effort: 'none', temperature: 0.2, logprobs: true };
    assert.deepEqual(fitted(params, { capabilities: REASONING }), {
      params: { reasoning_effort: 'none', temperature: 0.2 },
      dropped: ['logprobs'],
    });
    assert.deepEqual(fitted({ ...params, reasoning_effort: 'low' }, { capabilities: REASONING }).dropped, [
      'temperature',
      'logprobs',
    ]);
  });

  it("are dropped where the target's own overrides bring them, after those of the request", () => {
    const { params, dropped } = fitted(
      { frequency_penalty: 1 },
      { capabilities: REASONING, overrideParams: { temperature: 0.5 } },
    );
    assert.deepEqual([params, dropped], [{}, ['frequency_penalty', 'temperature']]);
    const undone = fitted(
      { temperature: 0.2 },
      { capabilities: REASONING, overrideParams: { temperature: null } },
    );
    assert.deepEqual(undone, { params: {}, dropped: [] });
  });

  it('are an error where the target is strict', () => {
    unsupported('temperature', () => fitted({ temperature: 0.2 }, { capabilities: REASONING, strict: true }));
    unsupported('reasoning_effort', () =>
      fitted({ reasoning_effort: 'max' }, { capabilities: REASONING, strict: true }),
    );
  });

  it('are an error where they change what is asked for', () => {
    unsupported('n', () => fitted({ n: 2 }, { capabilities: { refuses: new Set(['n']) } }));
    assert.deepEqual(fitted({ n: 1 }, { capabilities: { refuses: new Set(['n']) } }), {
      params: {},
      dropped: [],
    });
    unsupported('response_format', () =>
      fitted(
        { response_format: { type: 'json_schema', json_schema: { name: 'x', schema: {} } } },
        { capabilities: { jsonSchema: false } },
      ),
    );
    const json = { response_format: { type: 'json_object' } };
    assert.deepEqual(fitted(json, { capabilities: { jsonSchema: false } }).params, json);
  });
});

describe('the effort', () => {
  const efforts = (...names: NonNullable<ModelCapabilities['efforts']>) => ({ efforts: names });

  it('is the nearest that the model takes, rather more than less', () => {
    const cases: [Parameters<typeof nearestEffort>[0], Pick<ModelCapabilities, 'efforts'>, string | null][] =
      [
        ['high', { efforts: null }, 'high'],
        ['high', efforts('low', 'high'), 'high'],
        ['minimal', efforts('none', 'low', 'medium'), 'low'],
        ['none', efforts('low', 'medium'), 'low'],
        ['max', efforts('low', 'medium', 'high'), 'high'],
        ['medium', efforts('low', 'high'), 'high'],
        ['medium', efforts('high', 'low'), 'high'],
        ['xhigh', efforts('none', 'max'), 'max'],
        ['low', efforts('xhigh'), 'xhigh'],
        ['low', efforts(), null],
      ];
    for (const [asked, known, expected] of cases) assert.equal(nearestEffort(asked, known), expected, asked);
  });

  it('is named as dropped where it is another one', () => {
    assert.deepEqual(fitted({ reasoning_effort: 'xhigh' }, { capabilities: REASONING }), {
      params: { reasoning_effort: 'high' },
      dropped: ['reasoning_effort'],
    });
    assert.deepEqual(fitted({ reasoning_effort: 'low' }, { capabilities: efforts() }), {
      params: {},
      dropped: ['reasoning_effort'],
    });
  });

  it('is left to the host where nobody knows the word', () => {
    const params = { reasoning_effort: 'ultra' };
    assert.deepEqual(fitted(params, { capabilities: REASONING }), { params, dropped: [] });
  });
});

describe('tools of a model that takes them only without effort', () => {
  const trap = { ...REASONING, toolsOnlyAtNoEffort: true };
  const none = { tools: [TOOL], reasoning_effort: 'none' };

  it('are sent with no effort where none was asked for', () => {
    assert.deepEqual(fitted({ tools: [TOOL] }, { capabilities: trap, strict: true }), {
      params: none,
      dropped: [],
    });
    assert.deepEqual(fitted(none, { capabilities: trap, strict: true }), { params: none, dropped: [] });
    assert.deepEqual(fitted({ tools: [TOOL] }, { capabilities: { toolsOnlyAtNoEffort: true } }).params, none);
  });

  it('take the effort that was asked for with them, which is named', () => {
    const asked = { tools: [TOOL], reasoning_effort: 'high', temperature: 0.1 };
    assert.deepEqual(fitted(asked, { capabilities: trap }), {
      params: { ...none, temperature: 0.1 },
      dropped: ['reasoning_effort'],
    });
    unsupported('reasoning_effort', () => fitted(asked, { capabilities: trap, strict: true }));
  });

  it('go to another target where the model must think', () => {
    unsupported('tools', () =>
      fitted({ tools: [TOOL] }, { capabilities: { ...trap, efforts: ['low', 'high'] } }),
    );
    unsupported('tools', () =>
      fitted({ functions: [{ name: 'f' }] }, { capabilities: { ...trap, efforts: ['low', 'high'] } }),
    );
  });

  it('are no matter where there are none', () => {
    for (const params of [{ tools: [] }, {}, { reasoning_effort: 'high' }]) {
      assert.deepEqual(fitted(params, { capabilities: trap }), { params, dropped: [] });
    }
  });
});

describe('a tool that must be called, of a model that cannot be made to', () => {
  const capabilities = { forcedTools: false };
  const tools = [TOOL, OTHER_TOOL];

  it('is left to the model', () => {
    assert.deepEqual(fitted({ tools, tool_choice: 'required' }, { capabilities }), {
      params: { tools, tool_choice: 'auto' },
      dropped: ['tool_choice'],
    });
  });

  it('is the only one that it is given, if it was named', () => {
    const named = (name: string) => ({ tools, tool_choice: { type: 'function', function: { name } } });
    assert.deepEqual(fitted(named('g'), { capabilities }), {
      params: { tools: [OTHER_TOOL], tool_choice: 'auto' },
      dropped: ['tool_choice'],
    });
    assert.deepEqual(fitted(named('unknown'), { capabilities }).params, { tools, tool_choice: 'auto' });
    const choice = {
      type: 'allowed_tools',
      allowed_tools: { mode: 'required', tools: [{ type: 'function' }] },
    };
    assert.deepEqual(fitted({ tools, tool_choice: choice }, { capabilities }).params['tool_choice'], {
      ...choice,
      allowed_tools: { ...choice.allowed_tools, mode: 'auto' },
    });
    unsupported('tool_choice', () => fitted(named('g'), { capabilities, strict: true }));
  });

  it('is none where the choice is free', () => {
    for (const tool_choice of [
      'auto',
      'none',
      { type: 'allowed_tools', allowed_tools: { mode: 'auto', tools: [] } },
    ]) {
      assert.deepEqual(fitted({ tools, tool_choice }, { capabilities }), {
        params: { tools, tool_choice },
        dropped: [],
      });
    }
    const forced = { tools, tool_choice: 'required' };
    assert.deepEqual(fitted(forced), { params: forced, dropped: [] });
  });
});

describe('the most that an answer may have', () => {
  it('has the name that the model takes', () => {
    const capabilities = { maxCompletionTokens: true };
    assert.deepEqual(fitted({ max_tokens: 5 }, { capabilities }).params, { max_completion_tokens: 5 });
    assert.deepEqual(fitted({ max_tokens: 5, max_completion_tokens: 9 }, { capabilities }).params, {
      max_completion_tokens: 9,
    });
    assert.deepEqual(fitted({ max_tokens: null }, { capabilities }).params, {});
    assert.deepEqual(fitted({}, { capabilities, overrideParams: { max_tokens: 7 } }).params, {
      max_completion_tokens: 7,
    });
  });

  it('has the name that the host takes', () => {
    for (const adapter of ['mistral', 'deepseek'] as const) {
      assert.deepEqual(fitted({ max_completion_tokens: 5 }, { adapter }).params, { max_tokens: 5 });
      assert.deepEqual(fitted({ max_completion_tokens: 5, max_tokens: 9 }, { adapter }).params, {
        max_tokens: 5,
      });
      assert.deepEqual(fitted({ max_completion_tokens: null, max_tokens: 9 }, { adapter }).params, {
        max_tokens: 9,
      });
      assert.deepEqual(fitted({ max_tokens: 9 }, { adapter }).params, { max_tokens: 9 });
    }
  });

  it('stays as it is elsewhere', () => {
    const both = { max_tokens: 5, max_completion_tokens: 9 };
    assert.deepEqual(fitted(both).params, both);
  });
});

describe('what a host refuses, whatever the model', () => {
  it('is dropped, or renamed: mistral', () => {
    assert.deepEqual(
      fitted({ user: 'u', seed: 7, store: false, logit_bias: {}, temperature: 0 }, { adapter: 'mistral' }),
      {
        params: { temperature: 0, random_seed: 7 },
        dropped: ['user', 'logit_bias'],
      },
    );
  });

  it('is left out where it is null', () => {
    const nothing = { user: null, seed: null };
    assert.deepEqual(fitted(nothing, { adapter: 'mistral', strict: true }), { params: {}, dropped: [] });
  });

  it('is dropped, or goes elsewhere: groq', () => {
    assert.deepEqual(fitted({ logprobs: true, seed: 7 }, { adapter: 'groq' }), {
      params: { seed: 7 },
      dropped: ['logprobs'],
    });
    unsupported('n', () => fitted({ n: 2 }, { adapter: 'groq' }));
  });
});

describe('parts that a model does not read', () => {
  const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,AA==' } };
  const audio = { type: 'input_audio', input_audio: { data: 'AA==', format: 'wav' } };
  const file = { type: 'file', file: { file_data: 'data:application/pdf;base64,AA==' } };
  const messages = (...parts: object[]) => ({
    messages: [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: [{ type: 'text', text: 'See' }, ...parts] },
    ],
  });

  it('go to another target, with their place', () => {
    const only = (...kinds: ('image' | 'audio' | 'file')[]) => ({ capabilities: { input: new Set(kinds) } });
    unsupported('messages[1].content[1]', () => sent(messages(image), only()));
    unsupported('messages[1].content[2]', () => sent(messages(image, audio), only('image')));
    unsupported('messages[1].content[1]', () => sent(messages(file), only('image', 'audio')));
    sent(messages(image, audio, file), only('image', 'audio', 'file'));
    sent(messages(image, audio, file));
    sent({ messages: [null, 1, { content: [null, 'x', { type: {} }] }, { content: {} }] }, only());
  });
});

describe('how long an answer may be', () => {
  const capabilities = { maxOutput: 1000 };
  const changes: [name: string, AskOptions][] = [
    ['max_tokens', { capabilities }],
    ['max_completion_tokens', { capabilities: { ...capabilities, maxCompletionTokens: true } }],
  ];
  for (const [name, options] of changes) {
    it(`is no more than the model can write: ${name}`, () => {
      assert.deepEqual(fitted({ [name]: 5000 }, options), { params: { [name]: 1000 }, dropped: [] });
      assert.deepEqual(fitted({ [name]: 1000 }, options).params, { [name]: 1000 });
      assert.deepEqual(fitted({ [name]: 5 }, options).params, { [name]: 5 });
      assert.deepEqual(fitted({ max_tokens: 5000 }, options).params, { [name]: 1000 });
      assert.deepEqual(fitted({}, options).params, {});
      assert.deepEqual(fitted({ [name]: 5 }, { ...options, overrideParams: { [name]: 2000 } }).params, {
        [name]: 1000,
      });
      assert.deepEqual(fitted({ [name]: 5000 }, { ...options, strict: true }).params, { [name]: 1000 });
    });
  }

  it('is as the client says where nothing is known of the model', () => {
    assert.deepEqual(fitted({ max_tokens: 1e9 }).params, { max_tokens: 1e9 });
  });

  it('is told by the older name to hosts that know no other', () => {
    const older = fitted({ max_completion_tokens: 5000 }, { adapter: 'mistral', capabilities });
    assert.deepEqual(older.params, { max_tokens: 1000 });
  });
});
