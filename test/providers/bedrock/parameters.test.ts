import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Json, JsonObject } from '../../../src/core/json.ts';
import { messages } from '../../../src/dialects/messages/messages.ts';
import { Unsupported } from '../../../src/providers/adapter.ts';
import { bedrock } from '../../../src/providers/bedrock/adapter.ts';
import { type AskChanges, askFor, sentJson } from '../kit.ts';
import { CLAUDE, type Expected, HELLO, LLAMA, MISTRAL, NOVA, OPEN, prepare, sends } from './rig.ts';

const NEW_CLAUDE: AskChanges['capabilities'] = {
  thinking: 'adaptive',
  efforts: ['low', 'medium', 'high', 'xhigh', 'max'],
};
const OLD_CLAUDE: AskChanges['capabilities'] = { thinking: 'budget', maxOutput: 64_000 };

async function becomes(
  more: JsonObject,
  expected: Expected,
  changes: AskChanges = {},
  dropped: string[] = [],
) {
  const prepared = await sends({ ...HELLO, ...more }, expected, changes);
  assert.deepEqual(prepared.dropped, dropped);
}

function unsupported(more: JsonObject, param: string, changes: AskChanges = {}): void {
  assert.throws(
    () => prepare({ ...HELLO, ...more }, changes),
    (error: unknown) => error instanceof Unsupported && error.param === param,
  );
}

describe('parameters for Converse', () => {
  it("bounds the answer, by the model's own bound at most", async () => {
    await becomes({}, {});
    await becomes({ max_tokens: 100 }, { inferenceConfig: { maxTokens: 100 } });
    await becomes({ max_tokens: 100, max_completion_tokens: 200 }, { inferenceConfig: { maxTokens: 200 } });
    await becomes(
      { max_tokens: 100_000 },
      { inferenceConfig: { maxTokens: 8192 } },
      { capabilities: { maxOutput: 8192 } },
    );
  });

  it("samples as it is told, within Converse's bounds", async () => {
    await becomes({ temperature: 0.3 }, { inferenceConfig: { temperature: 0.3 } });
    await becomes({ temperature: 1.7 }, { inferenceConfig: { temperature: 1 } }, {}, ['temperature']);
    await becomes({ temperature: 1 }, { inferenceConfig: { temperature: 1 } });
    await becomes({ top_p: 0.4 }, { inferenceConfig: { topP: 0.4 } });
    await becomes(
      { temperature: 0.3, top_p: 0.4 },
      { inferenceConfig: { temperature: 0.3, topP: 0.4 } },
      { model: LLAMA },
    );
  });

  it('sends Claude one of temperature and top_p', async () => {
    await becomes({ temperature: 0.3, top_p: 0.4 }, { inferenceConfig: { temperature: 0.3 } }, {}, ['top_p']);
    await becomes({ temperature: 0.3, top_p: 1 }, { inferenceConfig: { temperature: 0.3 } });
    await becomes({ temperature: 1, top_p: 0.4 }, { inferenceConfig: { topP: 0.4 } });
  });

  it("says top_k in the words of the model's maker, if there are any", async () => {
    for (const [model, fields] of [
      [CLAUDE, { top_k: 5 }],
      [MISTRAL, { top_k: 5 }],
      [NOVA, { inferenceConfig: { topK: 5 } }],
      ['cohere.command-r-v1:0', { k: 5 }],
    ] as const) {
      await becomes({ top_k: 5 }, { additionalModelRequestFields: fields }, { model });
    }
    for (const model of [OPEN, LLAMA, 'qwen.qwen3-32b-v1:0'])
      await becomes({ top_k: 5 }, {}, { model }, ['top_k']);
  });

  it('leaves out what the capability table says that the model refuses', async () => {
    const refuses = new Set(['temperature', 'top_p', 'top_k', 'stop', 'service_tier']);
    await becomes(
      { service_tier: 'flex', stop: 'END', top_k: 5, top_p: 0.1, temperature: 0.2 },
      {},
      { capabilities: { refuses } },
      ['service_tier', 'stop', 'top_k', 'top_p', 'temperature'],
    );
    // Nothing is lost: it is what holds without them.
    await becomes({ temperature: 1, top_p: 1 }, {}, { capabilities: { refuses } });
    unsupported({ temperature: 0.2 }, 'temperature', { capabilities: { refuses }, strict: true });
  });

  it('samples at no effort where the model does so then', async () => {
    const capabilities = {
      refuses: new Set(['temperature']),
      takesAtNoEffort: new Set(['temperature']),
      efforts: ['none', 'low'] as const,
    };
    const model = 'openai.gpt-5.6-sol';
    const inferenceConfig = { temperature: 0.2 };
    await becomes(
      { temperature: 0.2, reasoning_effort: 'none' },
      { inferenceConfig, additionalModelRequestFields: { reasoning_effort: 'none' } },
      { model, capabilities },
    );
    await becomes({ temperature: 0.2 }, {}, { model, capabilities }, ['temperature']);
    const defaulting = { ...capabilities, defaultEffort: 'none' as const };
    await becomes({ temperature: 0.2 }, { inferenceConfig }, { model, capabilities: defaulting });
  });

  it('stops where it is told', async () => {
    await becomes({ stop: 'END' }, { inferenceConfig: { stopSequences: ['END'] } });
    await becomes({ stop: ['a', '\n\n'] }, { inferenceConfig: { stopSequences: ['a'] } }, {}, ['stop']);
    await becomes(
      { stop: ['a', '\n\n'] },
      { inferenceConfig: { stopSequences: ['a', '\n\n'] } },
      { model: NOVA },
    );
    await becomes({ stop: ['a'] }, {}, { model: OPEN }, ['stop']);
  });

  it('tells Claude to think as Anthropic is told', async () => {
    for (const [effort, word] of [
      ['minimal', 'low'],
      ['low', 'low'],
      ['medium', 'medium'],
      ['high', 'high'],
      ['xhigh', 'xhigh'],
      ['max', 'max'],
    ] as const) {
      await becomes(
        { reasoning_effort: effort },
        { additionalModelRequestFields: { thinking: { type: 'adaptive' }, output_config: { effort: word } } },
        { capabilities: NEW_CLAUDE },
      );
    }
    await becomes(
      { reasoning_effort: 'xhigh' },
      { additionalModelRequestFields: { thinking: { type: 'adaptive' }, output_config: { effort: 'high' } } },
      { capabilities: { ...NEW_CLAUDE, efforts: ['low', 'medium', 'high'] } },
      ['reasoning_effort'],
    );
    await becomes(
      { reasoning_effort: 'medium', max_tokens: 20_000 },
      {
        inferenceConfig: { maxTokens: 20_000 },
        additionalModelRequestFields: { thinking: { type: 'enabled', budget_tokens: 8192 } },
      },
      { capabilities: OLD_CLAUDE },
    );
    await becomes(
      { reasoning_effort: 'high', max_tokens: 500 },
      {
        inferenceConfig: { maxTokens: 500 },
        additionalModelRequestFields: { thinking: { type: 'disabled' } },
      },
      { capabilities: OLD_CLAUDE },
      ['reasoning_effort'],
    );
    await becomes({ reasoning_effort: 'low' }, {}, { capabilities: { thinking: 'none' } }, [
      'reasoning_effort',
    ]);
  });

  it('tells Claude not to think as far as it can be told', async () => {
    const off = { reasoning_effort: 'none' };
    for (const [thinkingOff, type] of [
      ['disabled', 'disabled'],
      ['low_effort', 'disabled'],
      ['between_tools', 'between_tools'],
    ] as const) {
      await becomes(
        off,
        { additionalModelRequestFields: { thinking: { type } } },
        { capabilities: { ...NEW_CLAUDE, thinkingOff } },
      );
    }
    const prepared = prepare({ ...HELLO, ...off }, { capabilities: { ...NEW_CLAUDE, thinkingOff: 'omit' } });
    assert.deepEqual(prepared.dropped, ['reasoning_effort']);
    assert.doesNotMatch(JSON.stringify(sentJson(prepared)), /"thinking"/);
  });

  it("takes Anthropic's own word for Claude only", async () => {
    await becomes(
      { thinking: { type: 'enabled', budget_tokens: 3000 } },
      { additionalModelRequestFields: { thinking: { type: 'enabled', budget_tokens: 3000 } } },
      { capabilities: OLD_CLAUDE },
    );
    await becomes({ thinking: { type: 'adaptive' } }, {}, { model: NOVA }, ['thinking']);
  });

  it('never thinks longer than a client allowed who counts tokens of thought', () => {
    const allowed = (tokens: number, more: AskChanges = {}) => {
      const asked = {
        model: 'm',
        max_tokens: 40_000,
        messages: [{ role: 'user', content: 'Hi' }],
        thinking: { type: 'enabled', budget_tokens: tokens },
      };
      const chat = messages.read(Buffer.from(JSON.stringify(asked))).chat();
      const ask = askFor({}, { model: CLAUDE, capabilities: OLD_CLAUDE, ...more });
      return bedrock.prepare({ ...ask, body: chat });
    };
    const field = (tokens: number, more: AskChanges = {}) =>
      (sentJson(allowed(tokens, more)) as JsonObject)['additionalModelRequestFields'];
    for (const tokens of [1024, 2000, 5000, 20_000, 31_999]) {
      assert.deepEqual(field(tokens), { thinking: { type: 'enabled', budget_tokens: tokens } });
    }
    // The rest of the answer needs its own.
    assert.deepEqual(field(39_999), { thinking: { type: 'enabled', budget_tokens: 32_000 } });
    assert.deepEqual(field(2000, { overrideParams: { temperature: 1 } }), field(2000));
    assert.deepEqual(field(2000, { capabilities: NEW_CLAUDE }), {
      thinking: { type: 'adaptive' },
      output_config: { effort: 'low' },
    });
    // Those who count none hear nothing of it.
    assert.deepEqual(allowed(2000, { model: OPEN, capabilities: {} }).dropped, []);
    assert.doesNotMatch(JSON.stringify(sentJson(allowed(2000, { model: OPEN, capabilities: {} }))), /2000/);
  });

  it('does not have Claude think where it is made to call a tool', async () => {
    const tools = [{ type: 'function', function: { name: 'look' } }];
    const prepared = prepare(
      { ...HELLO, tools, tool_choice: 'required', reasoning_effort: 'high' },
      { capabilities: NEW_CLAUDE },
    );
    assert.deepEqual(prepared.dropped, ['reasoning_effort']);
    assert.doesNotMatch(JSON.stringify(sentJson(prepared)), /adaptive/);
  });

  it('does not have Claude think by a budget where its thoughts were lost, or it is to go on with a text', () => {
    const lost = [
      { role: 'user', content: 'Look' },
      {
        role: 'assistant',
        tool_calls: [{ id: 'a', type: 'function', function: { name: 'look', arguments: '{}' } }],
      },
      { role: 'tool', tool_call_id: 'a', content: 'Seen' },
    ];
    const begun = [
      { role: 'user', content: 'Look' },
      { role: 'assistant', content: 'I see' },
    ];
    const tools = [{ type: 'function', function: { name: 'look' } }];
    for (const messages of [lost, begun]) {
      const prepared = prepare(
        { messages, tools, reasoning_effort: 'medium' },
        { capabilities: { ...OLD_CLAUDE, prefill: true } },
      );
      assert.deepEqual(prepared.dropped, ['reasoning_effort']);
      assert.doesNotMatch(JSON.stringify(sentJson(prepared)), /"enabled"/);
    }
  });

  it("leaves Claude's sampling alone while it thinks", async () => {
    await becomes(
      { reasoning_effort: 'low', temperature: 0.2, top_p: 0.3, top_k: 4 },
      { additionalModelRequestFields: { thinking: { type: 'adaptive' }, output_config: { effort: 'low' } } },
      { capabilities: NEW_CLAUDE },
      ['temperature', 'top_p', 'top_k'],
    );
  });

  it("tells others to think in their makers' words", async () => {
    await becomes(
      { reasoning_effort: 'low' },
      { additionalModelRequestFields: { reasoning_effort: 'low' } },
      { model: OPEN },
    );
    await becomes(
      { reasoning_effort: 'xhigh' },
      { additionalModelRequestFields: { reasoning_effort: 'high' } },
      { model: OPEN },
      ['reasoning_effort'],
    );
    await becomes({ reasoning_effort: 'none' }, {}, { model: OPEN }, ['reasoning_effort']);
    await becomes({ reasoning_effort: 'low' }, {}, { model: LLAMA }, ['reasoning_effort']);
    const refuses = new Set(['reasoning_effort']);
    await becomes({ reasoning_effort: 'low' }, {}, { model: OPEN, capabilities: { refuses } }, [
      'reasoning_effort',
    ]);
    await becomes(
      { reasoning_effort: 'high' },
      { outputConfig: { effort: 'medium' } },
      { model: 'qwen.qwen3-32b-v1:0', capabilities: { efforts: ['low', 'medium'] } },
      ['reasoning_effort'],
    );
  });

  it('tells Nova to think, at its highest effort without any bound', async () => {
    const thinking = (maxReasoningEffort: string) => ({
      reasoningConfig: { type: 'enabled', maxReasoningEffort },
    });
    const nova = { model: NOVA };
    await becomes(
      { reasoning_effort: 'medium', max_tokens: 10, temperature: 0.1 },
      {
        inferenceConfig: { maxTokens: 10, temperature: 0.1 },
        additionalModelRequestFields: thinking('medium'),
      },
      nova,
    );
    await becomes(
      { reasoning_effort: 'high', temperature: 0.1, top_p: 0.2 },
      { additionalModelRequestFields: thinking('high') },
      nova,
      ['temperature', 'top_p'],
    );
    await becomes(
      { reasoning_effort: 'high', max_tokens: 10 },
      { inferenceConfig: { maxTokens: 10 }, additionalModelRequestFields: thinking('medium') },
      nova,
      ['reasoning_effort'],
    );
    await becomes(
      { reasoning_effort: 'none' },
      { additionalModelRequestFields: { reasoningConfig: { type: 'disabled' } } },
      nova,
    );
    await becomes({ reasoning_effort: 'low' }, {}, { model: 'amazon.nova-pro-v1:0' }, ['reasoning_effort']);
  });

  const schema = { type: 'object', properties: { a: { type: 'string', minLength: 1 } }, required: ['a'] };
  const asked = (more: JsonObject = {}) => ({
    response_format: { type: 'json_schema', json_schema: { name: 'an answer', schema, ...more } },
  });

  it("holds Claude to a schema in Anthropic's words, beside its effort", async () => {
    const prepared = prepare({ ...HELLO, ...asked(), reasoning_effort: 'low' }, { capabilities: NEW_CLAUDE });
    const fields = sentJson(prepared)['additionalModelRequestFields'] as JsonObject;
    assert.deepEqual(fields['thinking'], { type: 'adaptive' });
    const config = fields['output_config'] as { effort: Json; format: { type: Json; schema: JsonObject } };
    assert.equal(config.effort, 'low');
    assert.equal(config.format.type, 'json_schema');
    assert.equal(config.format.schema['additionalProperties'], false);
    assert.deepEqual(prepared.dropped, []);
  });

  it("holds others to a schema in Converse's words", async () => {
    const jsonSchema = { schema: JSON.stringify(schema), name: 'an_answer' };
    for (const model of [OPEN, MISTRAL, 'qwen.qwen3-32b-v1:0', 'deepseek.v3-v1:0']) {
      await becomes(
        asked({ strict: true }),
        { outputConfig: { textFormat: { type: 'json_schema', structure: { jsonSchema } } } },
        { model },
      );
    }
  });

  it('asks for what a model cannot be held to, unless the client insists', async () => {
    const told = `Answer with one JSON object and nothing else: no other text, no Markdown fences. It must fit this JSON schema:\n${JSON.stringify(schema)}`;
    for (const changes of [
      { model: NOVA },
      { model: LLAMA },
      { model: 'us.anthropic.claude-sonnet-5-5-v1:0' },
      { capabilities: { jsonSchema: false } },
    ]) {
      await becomes(asked(), { system: [{ text: told }] }, changes, ['response_format']);
      unsupported(asked({ strict: true }), 'response_format', changes);
      unsupported(asked(), 'response_format', { ...changes, strict: true });
    }
    const open = { type: 'object' };
    const prepared = prepare({ ...HELLO, ...asked({ schema: open }) });
    assert.deepEqual(prepared.dropped, ['response_format']);
  });

  it("asks for a JSON object in the system's words, after the client's own", async () => {
    const messages = [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Hello' },
    ];
    await becomes(
      { messages, response_format: { type: 'json_object' } },
      {
        system: [
          { text: 'Be brief.' },
          { text: 'Answer with one JSON object and nothing else: no other text, no Markdown fences.' },
        ],
      },
    );
    await becomes({ response_format: { type: 'text' } }, {});
  });

  it("passes metadata and the user to AWS's logs", async () => {
    await becomes(
      { metadata: { team: 'a b', run: '42' }, user: 'user-1' },
      { requestMetadata: { team: 'a b', run: '42', user: 'user-1' } },
    );
    const both = { safety_identifier: 'hash', user: 'x' };
    await becomes(both, { requestMetadata: { user: 'hash' } }, {}, ['user']);
    await becomes(
      { metadata: { fine: 'yes', odd: 'naïve', deep: { a: 1 }, user: 'mine' }, user: 'theirs' },
      { requestMetadata: { fine: 'yes', user: 'mine' } },
      {},
      ['metadata', 'user'],
    );
    const many = Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`key${at}`, 'x']));
    const prepared = prepare({ ...HELLO, metadata: many, safety_identifier: 'x' });
    assert.equal(Object.keys(sentJson(prepared)['requestMetadata'] as JsonObject).length, 16);
    assert.deepEqual(prepared.dropped, ['metadata', 'safety_identifier']);
  });

  it('asks for a tier', async () => {
    for (const type of ['default', 'priority', 'flex', 'reserved'] as const) {
      await becomes({ service_tier: type }, { serviceTier: { type } });
    }
    await becomes({ service_tier: 'fast' }, { serviceTier: { type: 'priority' } });
    await becomes({ service_tier: 'auto' }, {});
    await becomes({ service_tier: 'scale' }, {}, {}, ['service_tier']);
  });

  it('drops by name what it cannot say, in the order of the request', async () => {
    await becomes(
      {
        verbosity: 'low',
        seed: 1,
        presence_penalty: 0.5,
        frequency_penalty: -1,
        logprobs: true,
        top_logprobs: 2,
        logit_bias: { 5: 1 },
        web_search_options: { user_location: null },
        moderation: 'x',
        store: true,
        prompt_cache_key: 'a',
        prompt_cache_retention: '24h',
        prediction: { type: 'content', content: 'x' },
      },
      {},
      {},
      [
        'verbosity',
        'seed',
        'presence_penalty',
        'frequency_penalty',
        'logprobs',
        'top_logprobs',
        'logit_bias',
        'web_search_options',
        'moderation',
        'store',
        'prompt_cache_key',
        'prompt_cache_retention',
        'prediction',
      ],
    );
    await becomes(
      {
        presence_penalty: 0,
        logprobs: false,
        store: false,
        verbosity: 'medium',
        modalities: ['text'],
        logit_bias: {},
        some_flag: false,
      },
      {},
    );
    for (const more of [{ seed: 1 }, { verbosity: 'low' }, { logprobs: true }] as JsonObject[]) {
      unsupported(more, Object.keys(more)[0] ?? '', { strict: true });
    }
  });

  it('names how closely a picture was to be looked at', () => {
    const looked = (detail: string) => {
      const url = { url: 'data:image/png;base64,AAAA', detail };
      return { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: url }] }] };
    };
    assert.deepEqual(prepare(looked('low')).dropped, ['image_url.detail']);
    assert.deepEqual(prepare(looked('high')).dropped, ['image_url.detail']);
    assert.deepEqual(prepare(looked('auto'), { strict: true }).dropped, []);
    const call = { id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } };
    const shown = looked('low').messages.map(({ content }) => ({ role: 'tool', tool_call_id: 'a', content }));
    const messages = [{ role: 'user', content: 'Hi' }, { role: 'assistant', tool_calls: [call] }, ...shown];
    assert.deepEqual(prepare({ messages, tools: [{ type: 'function', function: { name: 'f' } }] }).dropped, [
      'image_url.detail',
    ]);
  });

  it('refuses what would make another answer of it', () => {
    unsupported({ n: 2 }, 'n');
    unsupported({ modalities: ['text', 'audio'] }, 'modalities');
    unsupported({ audio: { voice: 'alloy', format: 'mp3' } }, 'audio');
    unsupported({ functions: [{ name: 'look' }] }, 'functions');
  });

  it("takes the target's overrides over what the client sent, and changes nothing of the client's", () => {
    const ask = askFor(
      { ...HELLO, model: 'm', temperature: 0.9, max_tokens: 5 },
      { model: CLAUDE, overrideParams: { temperature: 0.1, max_tokens: null } },
    );
    const before = JSON.stringify(ask.body.value);
    assert.deepEqual(sentJson(bedrock.prepare(ask))['inferenceConfig'], { temperature: 0.1 });
    assert.equal(JSON.stringify(ask.body.value), before);
  });

  it('hands thoughts back to whose they are, first and as they came', async () => {
    const messages = [
      { role: 'user', content: 'Look' },
      {
        role: 'assistant',
        content: 'Looking.',
        reasoning_content: 'Hm.',
        thinking_blocks: [
          { type: 'thinking', thinking: 'Hm.', signature: 'c2ln' },
          { type: 'redacted_thinking', data: 'QUJD', origin: 'anthropic' },
          { type: 'thinking', thinking: 'Other', signature: 'b3RoZXI=', origin: 'bedrock' },
          { type: 'redacted_thinking', data: 'REVG', origin: 'bedrock' },
          { type: 'thinking', thinking: 'Unsigned', signature: '' },
          { type: 'redacted_thinking', data: '' },
        ],
        tool_calls: [{ id: 'a', type: 'function', function: { name: 'look', arguments: '{}' } }],
      },
      { role: 'tool', tool_call_id: 'a', content: 'Seen' },
    ];
    const tools = [{ type: 'function', function: { name: 'look' } }];
    const rest: Pick<Expected, 'toolConfig'> = {
      toolConfig: {
        tools: [{ toolSpec: { name: 'look', inputSchema: { json: { type: 'object', properties: {} } } } }],
      },
    };
    const around = (...thoughts: NonNullable<NonNullable<Expected['messages']>[number]['content']>) => ({
      ...rest,
      messages: [
        { role: 'user' as const, content: [{ text: 'Look' }] },
        {
          role: 'assistant' as const,
          content: [
            ...thoughts,
            { text: 'Looking.' },
            { toolUse: { toolUseId: 'a', name: 'look', input: {} } },
          ],
        },
        {
          role: 'user' as const,
          content: [{ toolResult: { toolUseId: 'a', content: [{ text: 'Seen' }] } }],
        },
      ],
    });
    await becomes(
      { messages, tools },
      around(
        { reasoningContent: { reasoningText: { text: 'Hm.', signature: 'c2ln' } } },
        { reasoningContent: { redactedContent: Buffer.from('ABC') } },
      ),
    );
    await becomes(
      { messages, tools },
      around(
        { reasoningContent: { reasoningText: { text: 'Other', signature: 'b3RoZXI=' } } },
        { reasoningContent: { redactedContent: Buffer.from('DEF') } },
      ),
      { model: OPEN },
    );
  });

  it('hands back what was remembered, where the client lost it', () => {
    const messages = [
      { role: 'user', content: 'Look' },
      {
        role: 'assistant',
        tool_calls: [{ id: 'a', type: 'function', function: { name: 'look', arguments: '{}' } }],
      },
      { role: 'tool', tool_call_id: 'a', content: 'Seen' },
    ];
    const prepared = prepare(
      { messages, tools: [{ type: 'function', function: { name: 'look' } }] },
      {
        recall: (id) => ({
          thinkingBlocks: [
            { type: 'thinking', thinking: `of ${id}`, signature: 'c2ln', origin: 'anthropic' },
          ],
          thoughtSignatures: {},
        }),
      },
    );
    assert.match(JSON.stringify(sentJson(prepared)), /"reasoningText":\{"text":"of a","signature":"c2ln"\}/);
  });

  it('knows where Bedrock is, and what to ask for if it does not', () => {
    const base = { resource: null, project: null, location: null, apiVersion: null };
    assert.equal(
      bedrock.baseUrl({ ...base, region: 'eu-west-1' }),
      'https://bedrock-runtime.eu-west-1.amazonaws.com',
    );
    assert.equal(
      bedrock.baseUrl({ ...base, region: 'cn-north-1' }),
      'https://bedrock-runtime.cn-north-1.amazonaws.com.cn',
    );
    assert.match(bedrock.baseUrl({ ...base, region: null }), /^missing region/);
    assert.deepEqual(bedrock.keyHeaders('k'), { authorization: 'Bearer k' });
    assert.equal(bedrock.needsKey, 'optional');
    assert.equal(bedrock.identity, 'aws');
    assert.deepEqual([...bedrock.speaks], ['chat', 'embeddings']);
  });
});
