/** What Gemini cannot be sent, and what becomes of it. What it can be sent is held to its SDK in `sdk-requests.test.ts`. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonObject } from '../../../src/core/json.ts';
import { Unsupported } from '../../../src/providers/adapter.ts';
import { gemini } from '../../../src/providers/gemini/adapter.ts';
import { type AskChanges, askFor } from '../kit.ts';
import { contents, prepare, sent } from './kit.ts';

const TOOL = {
  type: 'function',
  function: { name: 'f', parameters: { type: 'object', properties: { a: {} } } },
};
const user = { role: 'user', content: 'Hi' };
const part = (value: JsonObject): JsonObject => ({ messages: [{ role: 'user', content: [value] }] });
const said = (content: JsonObject[]): JsonObject => ({ messages: [{ role: 'user', content }] });
const image = (url: string, detail?: string) =>
  ({ type: 'image_url', image_url: { url, ...(detail === undefined ? {} : { detail }) } }) as JsonObject;
const DATA = 'data:image/png;base64,AAAA';
const called = (id: string, extra: JsonObject = {}): JsonObject => ({
  role: 'assistant',
  content: null,
  tool_calls: [{ id, type: 'function', function: { name: 'f', arguments: '{}' }, ...extra }],
});
const result = (id: string, content = 'done'): JsonObject => ({ role: 'tool', tool_call_id: id, content });
const signed = (signature: string) => ({ extra_content: { google: { thought_signature: signature } } });
const level: AskChanges = { capabilities: { thinkingConfig: 'level' } };
const refusing = (...names: string[]): AskChanges => ({ capabilities: { refuses: new Set(names) } });

/** The parameter that is named when this cannot be sent. */
function refused(body: JsonObject, changes: AskChanges = {}): string {
  try {
    prepare(body, changes);
  } catch (error) {
    assert.ok(error instanceof Unsupported, String(error));
    assert.match(error.message, /^[A-Z'].*\.$/, 'a sentence');
    return error.param;
  }
  assert.fail('it was not refused');
}

describe('what changes the meaning and cannot be sent to Gemini is refused, by its name', () => {
  const rows: Record<string, [body: JsonObject, param: string, changes?: AskChanges]> = {
    'a picture by a URL that nobody fetched': [part(image('https://x.test/a.png')), 'messages[0].content[0]'],
    'a file by its id': [part({ type: 'file', file: { file_id: 'file-1' } }), 'messages[0].content[0]'],
    'a part that nobody knows': [part({ type: 'video', video: {} }), 'messages[0].content[0]'],
    'a picture for a model that reads none': [
      part(image(DATA)),
      'messages[0].content[0]',
      { capabilities: { input: new Set(['audio']) } },
    ],
    'sound of a format that is none': [
      part({ type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav/../x' } }),
      'messages[0].content[0]',
    ],
    'sound as an answer': [{ modalities: ['text', 'audio'] }, 'modalities'],
    'a voice': [{ audio: { voice: 'alloy', format: 'wav' } }, 'audio'],
    'functions of before 2023': [{ functions: [{ name: 'f' }] }, 'functions'],
    'a tool of its own kind': [{ tools: [{ type: 'custom', custom: { name: 'x' } }] }, 'tools[0]'],
    'a name that Google takes for none': [
      { tools: [TOOL, { type: 'function', function: { name: '1st' } }] },
      'tools[1].function.name',
    ],
    'a forced call without tools': [{ tool_choice: 'required' }, 'tool_choice'],
    'a tool that is not there': [
      { tools: [TOOL], tool_choice: { type: 'function', function: { name: 'g' } } },
      'tool_choice',
    ],
    'a result of no call': [{ messages: [user, result('nobody')] }, 'messages[1]'],
    'an answer that was begun': [{ messages: [user, { role: 'assistant', content: 'Hel' }] }, 'messages'],
    'nothing at all': [{ messages: [] }, 'messages'],
    'six stops': [{ stop: ['1', '2', '3', '4', '5', '6'] }, 'stop'],
    'more choices than the model gives': [{ n: 2 }, 'n', refusing('n')],
    'a schema for a model that knows none': [
      { response_format: { type: 'json_schema', json_schema: { name: 'n', schema: { type: 'object' } } } },
      'response_format',
      { capabilities: { jsonSchema: false } },
    ],
    'JSON together with tools for models before 3': [
      { response_format: { type: 'json_object' }, tools: [TOOL] },
      'response_format',
      { capabilities: { thinkingConfig: 'budget' } },
    ],
    'arguments nested too deeply to be printed': [
      {
        messages: [
          user,
          {
            role: 'assistant',
            tool_calls: [
              {
                id: 'a',
                type: 'function',
                function: { name: 'f', arguments: `{"a":${'['.repeat(50_000)}${']'.repeat(50_000)}}` },
              },
            ],
          },
          result('a'),
        ],
      },
      'messages',
    ],
  };
  for (const [name, [body, param, changes]] of Object.entries(rows)) {
    it(name, () => assert.equal(refused(body, changes), param));
  }
});

describe('what Gemini cannot be sent, and does not change the meaning, is dropped and named', () => {
  const rows: Record<string, [body: JsonObject, dropped: string[], changes?: AskChanges]> = {
    'what it has nothing for': [
      { verbosity: 'low', store: true, logit_bias: { 5: 1 }, prediction: { type: 'content', content: 'x' } },
      ['verbosity', 'store', 'logit_bias', 'prediction'],
    ],
    'what asks for nothing': [{ store: false, modalities: ['text'], logit_bias: {}, verbosity: null }, []],
    'calls one at a time': [{ tools: [TOOL], parallel_tool_calls: false }, ['parallel_tool_calls']],
    'calls at the same time, which is usual': [{ tools: [TOOL], parallel_tool_calls: true }, []],
    'one call at a time without tools': [{ parallel_tool_calls: false }, []],
    'labels, in the order of the request': [
      { user: 'u', metadata: { a: 'b' }, seed: 1 },
      ['user', 'metadata'],
    ],
    'a safety identifier': [{ safety_identifier: 's' }, ['safety_identifier']],
    'both names for who asks': [{ safety_identifier: 's', user: 'u' }, ['safety_identifier', 'user']],
    'one who asks, by both names': [{ safety_identifier: 's', user: 's' }, ['safety_identifier']],
    'metadata that is no text': [{ metadata: { a: 1 } }, ['metadata']],
    'likely tokens of an answer that is not to tell them': [{ top_logprobs: 2 }, ['top_logprobs']],
    'what says what holds anyway': [
      { verbosity: 'medium', service_tier: 'auto', metadata: {}, top_logprobs: 0 },
      [],
      refusing('service_tier'),
    ],
    'a small picture beside a large one': [
      said([image(DATA, 'low'), image(DATA, 'high')]),
      ['image_url.detail'],
    ],
    'a picture as it is': [said([image(DATA, 'original')]), ['image_url.detail']],
    'pictures looked at as is usual': [said([image(DATA, 'high'), image(DATA, 'auto'), image(DATA)]), []],
    'small pictures only': [said([image(DATA, 'low')]), []],
    'a marker for the cache in a message': [
      said([{ type: 'text', text: 'Hi', cache_control: { type: 'ephemeral' } }]),
      ['cache_control'],
    ],
    'a marker for the cache in the system message': [
      {
        messages: [
          { role: 'system', content: [{ type: 'text', text: 'S', cache_control: { type: 'ephemeral' } }] },
          user,
        ],
      },
      ['cache_control'],
    ],
    "a marker for the cache on a tool's result": [
      {
        messages: [user, called('a'), { ...result('a'), cache_control: { type: 'ephemeral' } }],
        tools: [TOOL],
      },
      ['cache_control'],
    ],
    'a marker for the cache on a tool': [
      { tools: [{ ...TOOL, cache_control: { type: 'ephemeral' } }] },
      ['cache_control'],
    ],
    'a tier that there is not': [{ service_tier: 'scale' }, ['service_tier']],
    'a value that says nothing, where the model refuses it': [
      { temperature: 1, top_p: 1, top_k: 1 },
      ['top_k'],
      { capabilities: { refuses: new Set(['temperature', 'top_p', 'top_k']) } },
    ],
    'what the model refuses': [
      {
        temperature: 0.5,
        top_p: 0.5,
        top_k: 1,
        presence_penalty: 1,
        frequency_penalty: 1,
        seed: 1,
        stop: 'x',
        logprobs: true,
        top_logprobs: 2,
        service_tier: 'flex',
        reasoning_effort: 'low',
      },
      [
        'temperature',
        'top_p',
        'top_k',
        'presence_penalty',
        'frequency_penalty',
        'seed',
        'stop',
        'logprobs',
        'service_tier',
        'reasoning_effort',
      ],
      refusing(
        'temperature',
        'top_p',
        'top_k',
        'presence_penalty',
        'frequency_penalty',
        'seed',
        'stop',
        'logprobs',
        'service_tier',
        'reasoning_effort',
      ),
    ],
    'penalties of 0, which ask for nothing': [
      { presence_penalty: 0, frequency_penalty: 0 },
      [],
      refusing('presence_penalty', 'frequency_penalty'),
    ],
    'a seed that is no whole number': [{ seed: 0.5 }, ['seed']],
    'an effort for a model that does not think': [{ reasoning_effort: 'high' }, ['reasoning_effort']],
    'no effort for a model that does not think': [{ reasoning_effort: 'none' }, []],
    'a forced call of a model that cannot be forced': [
      { tools: [TOOL], tool_choice: 'required' },
      ['tool_choice'],
      { capabilities: { forcedTools: false } },
    ],
  };
  for (const [name, [body, dropped, changes]] of Object.entries(rows)) {
    it(name, () => assert.deepEqual(prepare(body, changes).dropped, dropped));
    if (dropped.length > 0) {
      it(`${name}: refused where the target is strict`, () => {
        assert.ok(dropped.includes(refused(body, { ...changes, strict: true })));
      });
    }
  }

  it('says nothing of what was dropped', () => {
    const body = { temperature: 1, verbosity: 'low', user: 'u', metadata: { a: 'b' }, store: true };
    assert.deepEqual(Object.keys(sent(body, refusing('temperature'))), ['contents']);
  });

  it('sends at no effort what a model only takes then', () => {
    const changes: AskChanges = {
      capabilities: { refuses: new Set(['temperature']), takesAtNoEffort: new Set(['temperature']) },
    };
    assert.deepEqual(sent({ temperature: 1, reasoning_effort: 'none' }, changes)['generationConfig'], {
      temperature: 1,
    });
    assert.equal(sent({ temperature: 1 }, changes)['generationConfig'], undefined);
    const usual: AskChanges = { capabilities: { ...changes.capabilities, defaultEffort: 'none' } };
    assert.deepEqual(sent({ temperature: 1 }, usual)['generationConfig'], { temperature: 1 });
  });
});

describe('what is sent to Gemini is within its bounds', () => {
  const config = (body: JsonObject, changes: AskChanges = {}) => sent(body, changes)['generationConfig'];

  it('temperature 0 to 2, top_p 0 to 1, top_k a whole number, a seed of 32 bits', () => {
    assert.deepEqual(config({ temperature: 3, top_p: 2, top_k: 0.2, seed: 2 ** 33 + 5 }), {
      temperature: 2,
      topP: 1,
      topK: 1,
      seed: 5,
    });
    assert.deepEqual(config({ temperature: -1, top_p: -1 }), { temperature: 0, topP: 0 });
  });

  it('no more tokens than the model gives', () => {
    const changes: AskChanges = { capabilities: { maxOutput: 100 } };
    assert.deepEqual(config({ max_tokens: 1000 }, changes), { maxOutputTokens: 100 });
    assert.deepEqual(config({ max_tokens: 50 }, changes), { maxOutputTokens: 50 });
    assert.equal(config({}, changes), undefined);
  });

  it('a resolution only where all that is looked at wants it', () => {
    const low = image(DATA, 'low');
    const resolution = (content: JsonObject[]) =>
      (config({ messages: [{ role: 'user', content }] }) as JsonObject | undefined)?.['mediaResolution'];
    assert.equal(resolution([low, { type: 'text', text: 'x' }]), 'MEDIA_RESOLUTION_LOW');
    assert.equal(resolution([low, image(DATA)]), undefined);
    assert.equal(resolution([image(DATA, 'high')]), undefined);
    const pdf = { type: 'file', file: { file_data: 'data:application/pdf;base64,AAAA' } };
    assert.equal(resolution([low, pdf]), undefined);
  });

  it('an empty schema is JSON of any form', () => {
    const format = { type: 'json_schema', json_schema: { name: 'n', schema: {} } };
    assert.deepEqual(config({ response_format: format }), { responseMimeType: 'application/json' });
  });

  it('JSON together with tools for models from 3 on', () => {
    const body = { response_format: { type: 'json_object' }, tools: [TOOL] };
    assert.deepEqual(config(body, level), { responseMimeType: 'application/json' });
  });
});

describe('how hard Gemini is to think', () => {
  const thinking = (effort: string, capabilities: AskChanges['capabilities'], body: JsonObject = {}) => {
    const prepared = prepare({ reasoning_effort: effort, ...body }, { capabilities: capabilities ?? {} });
    const config = JSON.parse(Buffer.concat(prepared.body).toString()).generationConfig?.thinkingConfig;
    return { config, dropped: prepared.dropped };
  };

  it('leaves a part of the answer to what is said, since thoughts count as output', () => {
    const budget = { thinkingConfig: 'budget', efforts: ['none', 'low', 'medium', 'high'] } as const;
    const at = (effort: string, most: number, more: AskChanges['capabilities'] = {}) => {
      const { config, dropped } = thinking(effort, { ...budget, ...more }, { max_tokens: most });
      return [config.thinkingBudget, config.includeThoughts, ...dropped];
    };
    assert.deepEqual(at('high', 100_000), [24_576, true]);
    assert.deepEqual(at('high', 1001), [800, true]);
    assert.deepEqual(at('low', 1280), [1024, true]);
    assert.deepEqual(at('low', 640), [512, true]);
    assert.deepEqual(at('low', 639), [0, false, 'reasoning_effort']);
    assert.deepEqual(at('none', 10), [0, false]);
    assert.deepEqual(at('high', 1_000_000, { maxOutput: 2000 }), [1600, true]);
    assert.deepEqual(thinking('high', { ...budget, maxOutput: 2000 }).config.thinkingBudget, 1600);
    const always = { efforts: ['low', 'medium', 'high'] } as const;
    assert.deepEqual(at('high', 160, always), [128, true]);
    assert.deepEqual(at('high', 159, always), [128, true, 'reasoning_effort']);
    assert.deepEqual(at('none', 10, always), [128, false, 'reasoning_effort']);
    const level = thinking('high', { thinkingConfig: 'level' }, { max_tokens: 10 });
    assert.deepEqual(level.config, { thinkingLevel: 'HIGH', includeThoughts: true });
  });

  it('is the nearest level that the model has, rather more than less', () => {
    const efforts = ['low', 'high'] as const;
    const at = (effort: string) => thinking(effort, { thinkingConfig: 'level', efforts }).config;
    assert.deepEqual(at('minimal'), { thinkingLevel: 'LOW', includeThoughts: true });
    assert.deepEqual(at('medium'), { thinkingLevel: 'HIGH', includeThoughts: true });
    assert.deepEqual(thinking('high', { thinkingConfig: 'level', efforts: ['low', 'medium'] }).config, {
      thinkingLevel: 'MEDIUM',
      includeThoughts: true,
    });
  });

  it('is as little as can be where it cannot be stopped, and that is said', () => {
    const efforts = ['low', 'high'] as const;
    assert.deepEqual(thinking('none', { thinkingConfig: 'level', efforts }), {
      config: { thinkingLevel: 'LOW', includeThoughts: false },
      dropped: ['reasoning_effort'],
    });
    assert.deepEqual(thinking('none', { thinkingConfig: 'budget', efforts }), {
      config: { thinkingBudget: 128, includeThoughts: false },
      dropped: ['reasoning_effort'],
    });
    assert.deepEqual(thinking('none', { thinkingConfig: 'level', efforts: ['minimal', 'low'] }), {
      config: { thinkingLevel: 'MINIMAL', includeThoughts: false },
      dropped: [],
    });
  });
});

describe('the tools that Gemini is told of', () => {
  const declared = (parameters: JsonObject | undefined) => {
    const tool = { type: 'function', function: { name: 'f', ...(parameters ? { parameters } : {}) } };
    const [tools] = sent({ tools: [tool] })['tools'] as { functionDeclarations: JsonObject[] }[];
    return tools?.functionDeclarations[0];
  };

  it('have no schema where they take nothing', () => {
    for (const parameters of [
      undefined,
      {},
      { type: 'object' },
      { type: 'object', properties: {} },
      { type: 'object', properties: {}, required: [], additionalProperties: false },
    ]) {
      assert.deepEqual(declared(parameters), { name: 'f' }, JSON.stringify(parameters));
    }
  });

  it('have theirs where they may take something', () => {
    for (const parameters of [
      { type: 'object', additionalProperties: true },
      { type: 'object', additionalProperties: { type: 'string' } },
      { type: 'object', anyOf: [{ properties: { a: {} } }] },
      { $ref: '#/$defs/a', $defs: { a: {} } },
    ]) {
      assert.deepEqual(declared(parameters), { name: 'f', parametersJsonSchema: parameters });
    }
  });

  it('are called by one name only, where a call cannot be forced', () => {
    const body = { tools: [TOOL], tool_choice: { type: 'function', function: { name: 'f' } } };
    assert.deepEqual(sent(body, { capabilities: { forcedTools: false } })['toolConfig'], {
      functionCallingConfig: { mode: 'VALIDATED', allowedFunctionNames: ['f'] },
    });
  });
});

describe('the tool loop as Gemini is told of it', () => {
  const loop = (id: string, extra: JsonObject = {}, changes: AskChanges = {}) => {
    const [, model, answers] = contents([user, called(id, extra), result(id)], changes);
    return { call: model?.parts?.[0], result: answers?.parts?.[0] };
  };

  it('has the ids that Google gave, and no others', () => {
    assert.equal(loop('8f2b1a3c').call?.functionCall?.id, '8f2b1a3c');
    assert.equal(loop('8f2b1a3c').result?.functionResponse?.id, '8f2b1a3c');
    for (const id of ['call_sw0001', 'call_abc', 'toolu_1', 'tooluse_1', 'chatcmpl-tool-1', 'fc_1', 'f']) {
      assert.equal(loop(id).call?.functionCall?.id, undefined, id);
      assert.equal(loop(id).result?.functionResponse?.id, undefined, id);
    }
  });

  it('has results in the order of the calls, which tells them apart without ids', () => {
    const calls = ['call_1', 'call_2'].map((id) => ({
      id,
      type: 'function',
      function: { name: 'f', arguments: '{}' },
    }));
    const [, , answers] = contents([
      user,
      { role: 'assistant', tool_calls: calls },
      result('call_2', 'second'),
      result('call_1', 'first'),
    ]);
    assert.deepEqual(
      answers?.parts?.map((one) => one.functionResponse?.response),
      [{ output: 'first' }, { output: 'second' }],
    );
  });

  it('has the signature that was remembered where the client lost it', () => {
    const recall = (id: string) =>
      id === 'abc' ? { thinkingBlocks: [], thoughtSignatures: { abc: 'UmVtZW1iZXJlZA==' } } : null;
    assert.equal(loop('abc', {}, { recall }).call?.thoughtSignature, 'UmVtZW1iZXJlZA==');
    assert.equal(loop('abc', signed('T3du'), { recall }).call?.thoughtSignature, 'T3du');
  });

  it("has Google's word for a lost signature only on the first call of a turn, and only for models that want one", () => {
    const lost = 'skip_thought_signature_validator';
    assert.equal(loop('x', {}, level).call?.thoughtSignature, lost);
    assert.equal(loop('x').call?.thoughtSignature, undefined);
    assert.equal(
      loop('x', {}, { capabilities: { thinkingConfig: 'budget' } }).call?.thoughtSignature,
      undefined,
    );
    assert.equal(loop('x', signed('no base64!'), level).call?.thoughtSignature, lost);
    const two = {
      role: 'assistant',
      tool_calls: [...(called('a')['tool_calls'] as []), ...(called('b')['tool_calls'] as [])],
    };
    const [, model] = contents([user, two, result('a'), result('b')], level);
    assert.deepEqual(
      model?.parts?.map((one) => one.thoughtSignature),
      [lost, undefined],
    );
    const [, later, , again] = contents([user, called('a'), result('a'), called('b'), result('b')], level);
    assert.deepEqual(
      [later, again].map((one) => one?.parts?.[0]?.thoughtSignature),
      [lost, lost],
    );
  });

  it("hands a turn's own signature back with its last text, or with its first call if it has none", () => {
    const [, texts] = contents([
      user,
      {
        role: 'assistant',
        content: [
          { type: 'text', text: 'a' },
          { type: 'text', text: 'b' },
        ],
        ...signed('VA=='),
      },
      user,
    ]);
    assert.deepEqual(texts?.parts, [{ text: 'a' }, { text: 'b', thoughtSignature: 'VA==' }]);
    const [, model] = contents([user, { ...called('x'), ...signed('VA==') }, result('x')], level);
    assert.equal(model?.parts?.[0]?.thoughtSignature, 'VA==');
    const both = { ...called('x'), content: 'Hm', ...signed('VA==') };
    const [, mixed] = contents([user, both, result('x')], level);
    assert.deepEqual(
      mixed?.parts?.map((one) => one.thoughtSignature),
      ['VA==', 'skip_thought_signature_validator'],
    );
  });

  it('has pictures of results after all results, for models that take none within', () => {
    const shown = { role: 'tool', tool_call_id: 'a', content: [{ type: 'text', text: 'see' }, image(DATA)] };
    const calls = [...(called('a')['tool_calls'] as []), ...(called('b')['tool_calls'] as [])];
    const [, , answers] = contents([
      user,
      { role: 'assistant', tool_calls: calls },
      shown,
      result('b'),
      user,
    ]);
    assert.deepEqual(answers?.parts, [
      { functionResponse: { id: 'a', name: 'f', response: { output: 'see' } } },
      { functionResponse: { id: 'b', name: 'f', response: { output: 'done' } } },
      { inlineData: { mimeType: 'image/png', data: 'AAAA' } },
      { text: 'Hi' },
    ]);
  });

  it('has no turn of which nothing is left', () => {
    const thought = {
      role: 'assistant',
      content: null,
      thinking_blocks: [{ type: 'redacted_thinking', data: 'x' }],
    };
    assert.deepEqual(contents([user, thought, user]), [
      { role: 'user', parts: [{ text: 'Hi' }, { text: 'Hi' }] },
    ]);
  });

  it('has neither thoughts nor blocks of others', () => {
    const thought = {
      role: 'assistant',
      content: 'Yes',
      reasoning_content: 'Hm',
      thinking_blocks: [{ type: 'redacted_thinking', data: 'x' }],
    };
    const prepared = prepare({ messages: [user, thought, user] });
    assert.deepEqual(JSON.parse(Buffer.concat(prepared.body).toString()).contents[1].parts, [
      { text: 'Yes' },
    ]);
    assert.deepEqual(prepared.dropped, []);
  });
});

describe('a chat of instructions alone', () => {
  it('is sent as what the user says', () => {
    assert.deepEqual(sent({ messages: [{ role: 'system', content: 'Say hello.' }] }), {
      contents: [{ role: 'user', parts: [{ text: 'Say hello.' }] }],
    });
  });
});

describe('overrides', () => {
  it('count as if the client had asked for them, and take things out', () => {
    const changes: AskChanges = { overrideParams: { temperature: 0.5, seed: null } };
    assert.deepEqual(sent({ temperature: 1, seed: 5 }, changes)['generationConfig'], { temperature: 0.5 });
  });
});

describe('where Gemini is', () => {
  const path = (model: string, baseUrl = 'https://x.test') =>
    gemini.prepare(askFor({ messages: [user] }, { model, provider: { baseUrl } })).path;

  it('is the same with and without the version in the base URL', () => {
    assert.equal(path('m'), '/v1beta/models/m:generateContent');
    for (const version of ['v1', 'v1beta', 'v1alpha']) {
      assert.equal(path('m', `https://x.test/google/${version}`), '/models/m:generateContent');
    }
    const base = gemini.baseUrl({
      region: null,
      resource: null,
      project: null,
      location: null,
      apiVersion: null,
    });
    assert.equal(
      `${base}${path('m', base)}`,
      'https://generativelanguage.googleapis.com/v1beta/models/m:generateContent',
    );
  });

  it("takes names with their kind, as Google's SDK does", () => {
    assert.equal(path('models/m'), '/v1beta/models/m:generateContent');
    assert.equal(path('tunedModels/m-1'), '/v1beta/tunedModels/m-1:generateContent');
  });

  it('is not led astray by a name', () => {
    assert.equal(path('m?key=x#y%2F z'), '/v1beta/models/m%3Fkey%3Dx%23y%252F%20z:generateContent');
    for (const model of ['../files', 'a/../../b', './x', 'models//x', '/x']) {
      assert.throws(() => path(model), Unsupported, model);
    }
  });

  it('is told the key by a header', () => {
    assert.deepEqual(gemini.keyHeaders('k'), { 'x-goog-api-key': 'k' });
    assert.equal(gemini.needsKey, 'yes');
    assert.equal(gemini.identity, null);
  });

  it('has all fetched for it but what it reads by itself', () => {
    const fetched = (url: string) => gemini.fetches?.(url);
    for (const url of [
      'https://x.test/a.png',
      'https://evil.test/youtube.com/',
      'https://notyoutube.com/watch?v=1',
      'https://generativelanguage.googleapis.com.evil.test/v1beta/files/1',
    ]) {
      assert.equal(fetched(url), true, url);
    }
    for (const url of [
      'gs://bucket/a.png',
      'https://youtu.be/9hE5',
      'https://youtube.com/watch?v=9hE5',
      'https://generativelanguage.googleapis.com/v1beta/files/abc',
    ]) {
      assert.equal(fetched(url), false, url);
    }
  });

  it('refuses dialects that it does not speak', () => {
    assert.throws(() => gemini.prepare(askFor({ messages: [user] }, { dialect: 'responses' })), Unsupported);
  });
});
