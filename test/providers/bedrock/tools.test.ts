import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Json, JsonObject } from '../../../src/core/json.ts';
import { Unsupported } from '../../../src/providers/adapter.ts';
import { sentJson } from '../kit.ts';
import { CLAUDE, type Expected, LLAMA, MISTRAL, NOVA, OPEN, prepare, sends } from './rig.ts';

const parameters = {
  type: 'object',
  properties: { city: { type: 'string' } },
  required: ['city'],
  additionalProperties: false,
};
const tool = (name: string, more: JsonObject = {}): JsonObject => ({
  type: 'function',
  function: { name, description: 'Looks it up.', parameters, ...more },
});
const spec = (name: string) => ({
  toolSpec: { name, description: 'Looks it up.', inputSchema: { json: parameters } },
});
const ask = (more: JsonObject): JsonObject => ({
  messages: [{ role: 'user', content: 'Hello' }],
  tools: [tool('weather'), tool('time')],
  ...more,
});
const both = [spec('weather'), spec('time')];
const named = { type: 'function', function: { name: 'time' } };
/** The models whose makers are told which tool in Converse's own words. */
const without = { forcedTools: false };

const loop = (ids: readonly string[], more: JsonObject = {}): JsonObject => ({
  messages: [
    { role: 'user', content: 'What is it like?' },
    {
      role: 'assistant',
      content: 'Let me see.',
      tool_calls: ids.map((id, at) => ({
        id,
        type: 'function',
        function: { name: 'weather', arguments: at === 0 ? '{"city":"Paris"}' : '' },
      })),
    },
    ...ids.map((id) => ({ role: 'tool', tool_call_id: id, content: `Result of ${id}` })),
    { role: 'user', content: 'And now?' },
  ],
  tools: [tool('weather')],
  ...more,
});

describe('tools for Converse', () => {
  it('describes tools, and leaves out what is empty', async () => {
    await sends(
      {
        messages: [{ role: 'user', content: 'Hello' }],
        tools: [
          tool('weather'),
          { type: 'function', function: { name: 'plain' } },
          {
            type: 'function',
            function: { name: 'blank', description: '  ', parameters: { properties: {} } },
          },
        ],
      },
      {
        toolConfig: {
          tools: [
            spec('weather'),
            { toolSpec: { name: 'plain', inputSchema: { json: { type: 'object', properties: {} } } } },
            { toolSpec: { name: 'blank', inputSchema: { json: { type: 'object', properties: {} } } } },
          ],
        },
      },
    );
  });

  it("chooses in Converse's words", async () => {
    for (const [choice, toolChoice] of [
      ['auto', { auto: {} }],
      ['required', { any: {} }],
      [named, { tool: { name: 'time' } }],
    ] as const) {
      for (const model of [CLAUDE, NOVA, OPEN]) {
        const { dropped } = await sends(
          ask({ tool_choice: choice }),
          { toolConfig: { tools: both, toolChoice } },
          { model },
        );
        assert.deepEqual(dropped, []);
      }
    }
    await sends(ask({}), { toolConfig: { tools: both } });
  });

  it('offers only the tool that was named where a model cannot be made to call that one', async () => {
    const one: Expected['toolConfig'] = { tools: [spec('time')], toolChoice: { any: {} } };
    await sends(ask({ tool_choice: named }), { toolConfig: one }, { model: MISTRAL });
    const { dropped } = await sends(
      ask({ tool_choice: named }),
      { toolConfig: { tools: [spec('time')], toolChoice: { auto: {} } } },
      { capabilities: without },
    );
    assert.deepEqual(dropped, ['tool_choice']);
    const unknown = { type: 'function', function: { name: 'unknown' } };
    await sends(
      ask({ tool_choice: unknown }),
      { toolConfig: { tools: both, toolChoice: { auto: {} } } },
      { capabilities: without },
    );
  });

  it('lets a model choose that cannot be forced', async () => {
    const auto = { toolConfig: { tools: both, toolChoice: { auto: {} } } };
    const claude = await sends(ask({ tool_choice: 'required' }), auto, { capabilities: without });
    assert.deepEqual(claude.dropped, ['tool_choice']);
    const llama = await sends(ask({ tool_choice: 'required' }), auto, { model: LLAMA });
    assert.deepEqual(llama.dropped, ['tool_choice']);
    const strict = { capabilities: without, strict: true };
    assert.throws(() => prepare(ask({ tool_choice: 'required' }), strict), Unsupported);
  });

  it('offers those that are allowed', async () => {
    const allowed = { mode: 'required', tools: [{ type: 'function', function: { name: 'weather' } }] };
    await sends(ask({ tool_choice: { type: 'allowed_tools', allowed_tools: allowed } }), {
      toolConfig: { tools: [spec('weather')], toolChoice: { any: {} } },
    });
  });

  it("tells Claude in Anthropic's words to call one at a time, and then only in these", async () => {
    for (const [choice, type] of [
      [null, { type: 'auto' }],
      ['auto', { type: 'auto' }],
      ['required', { type: 'any' }],
      [named, { type: 'tool', name: 'time' }],
    ] as const) {
      await sends(ask({ parallel_tool_calls: false, tool_choice: choice as Json }), {
        toolConfig: { tools: both },
        additionalModelRequestFields: { tool_choice: { ...type, disable_parallel_tool_use: true } },
      });
    }
    for (const changes of [
      { model: NOVA },
      { capabilities: { refuses: new Set(['parallel_tool_calls']) } },
    ]) {
      const other = await sends(
        ask({ parallel_tool_calls: false }),
        { toolConfig: { tools: both } },
        changes,
      );
      assert.deepEqual(other.dropped, ['parallel_tool_calls']);
    }
    await sends(ask({ parallel_tool_calls: true }), { toolConfig: { tools: both } });
    await sends({ messages: [{ role: 'user', content: 'Hello' }], parallel_tool_calls: false }, {});
  });

  it('holds tools to their schemas where it can', async () => {
    const strict = (more: JsonObject = {}) => ({
      messages: [{ role: 'user', content: 'Hello' }],
      tools: [tool('weather', { strict: true, ...more })],
    });
    const held = { toolSpec: { ...spec('weather').toolSpec, strict: true } };
    const claude = await sends(strict(), { toolConfig: { tools: [held] } });
    assert.deepEqual(claude.dropped, []);
    await sends(strict(), { toolConfig: { tools: [held] } }, { model: OPEN });
    const nothing = { name: 'weather', description: 'Looks it up.' };
    await sends(strict({ parameters: null }), {
      toolConfig: {
        tools: [
          {
            toolSpec: {
              ...nothing,
              inputSchema: { json: { type: 'object', properties: {}, additionalProperties: false } },
              strict: true,
            },
          },
        ],
      },
    });
    for (const model of [NOVA, LLAMA, 'global.anthropic.claude-sonnet-5-5']) {
      const { dropped } = await sends(strict(), { toolConfig: { tools: [spec('weather')] } }, { model });
      assert.deepEqual(dropped, ['tools[0].function.strict']);
    }
    const open = { type: 'object', additionalProperties: { type: 'string' } };
    const { dropped } = await sends(strict({ parameters: open }), {
      toolConfig: { tools: [{ toolSpec: { ...nothing, inputSchema: { json: open } } }] },
    });
    assert.deepEqual(dropped, ['tools[0].function.strict']);
  });

  it('marks tools for Claude alone', async () => {
    const marked = {
      messages: [{ role: 'user', content: 'Hello' }],
      tools: [{ ...tool('weather'), cache_control: { type: 'ephemeral', ttl: '1h' } }],
    };
    await sends(marked, {
      toolConfig: { tools: [spec('weather'), { cachePoint: { type: 'default', ttl: '1h' } }] },
    });
    const nova = await sends(marked, { toolConfig: { tools: [spec('weather')] } }, { model: NOVA });
    assert.deepEqual(nova.dropped, ['cache_control']);
  });

  it('puts all results into one message, before what the user says', async () => {
    await sends(loop(['call_1', 'call_2']), {
      toolConfig: { tools: [spec('weather')] },
      messages: [
        { role: 'user', content: [{ text: 'What is it like?' }] },
        {
          role: 'assistant',
          content: [
            { text: 'Let me see.' },
            { toolUse: { toolUseId: 'call_1', name: 'weather', input: { city: 'Paris' } } },
            { toolUse: { toolUseId: 'call_2', name: 'weather', input: {} } },
          ],
        },
        {
          role: 'user',
          content: [
            { toolResult: { toolUseId: 'call_1', content: [{ text: 'Result of call_1' }] } },
            { toolResult: { toolUseId: 'call_2', content: [{ text: 'Result of call_2' }] } },
            { text: 'And now?' },
          ],
        },
      ],
    });
  });

  const resulting = (message: JsonObject): JsonObject => ({
    messages: [
      { role: 'user', content: 'Look' },
      {
        role: 'assistant',
        tool_calls: [{ id: 'a', type: 'function', function: { name: 'look', arguments: '{}' } }],
      },
      { role: 'tool', tool_call_id: 'a', ...message },
    ],
    tools: [tool('weather')],
  });
  const results = (
    ...content: NonNullable<NonNullable<Expected['messages']>[number]['content']>
  ): Expected => ({
    toolConfig: { tools: [spec('weather')] },
    messages: [
      { role: 'user', content: [{ text: 'Look' }] },
      { role: 'assistant', content: [{ toolUse: { toolUseId: 'a', name: 'look', input: {} } }] },
      { role: 'user', content },
    ],
  });

  it('says that a tool failed, to models that are told so', async () => {
    const failed = resulting({ content: 'No such city', is_error: true });
    for (const model of [CLAUDE, NOVA]) {
      await sends(
        failed,
        results({ toolResult: { toolUseId: 'a', content: [{ text: 'No such city' }], status: 'error' } }),
        { model },
      );
    }
    await sends(failed, results({ toolResult: { toolUseId: 'a', content: [{ text: 'No such city' }] } }), {
      model: OPEN,
    });
  });

  it('never sends an empty result', async () => {
    for (const content of ['', ' \n', [], null] as Json[]) {
      await sends(
        resulting({ content, is_error: true }),
        results({ toolResult: { toolUseId: 'a', content: [{ text: '(no output)' }], status: 'error' } }),
      );
    }
  });

  it('keeps JSON as the text that it is: numbers may be longer than a parser keeps them', async () => {
    const content = '{"id": 12345678901234567890}';
    await sends(
      resulting({ content }),
      results({ toolResult: { toolUseId: 'a', content: [{ text: content }] } }),
    );
  });

  it('shows pictures and documents in results, or beside them where a model takes none inside', async () => {
    const bytes = Buffer.from('picture');
    const data = bytes.toString('base64');
    const content = [
      { type: 'text', text: 'Seen:' },
      { type: 'image_url', image_url: { url: `data:image/png;base64,${data}` } },
      { type: 'file', file: { filename: 'a.pdf', file_data: `data:application/pdf;base64,${data}` } },
    ];
    const image = { image: { format: 'png' as const, source: { bytes } } };
    const document = { document: { format: 'pdf' as const, name: 'a', source: { bytes } } };
    await sends(
      resulting({ content }),
      results({ toolResult: { toolUseId: 'a', content: [{ text: 'Seen:' }, image, document] } }),
    );
    await sends(
      resulting({ content }),
      results({ toolResult: { toolUseId: 'a', content: [{ text: 'Seen:' }] } }, image, document, {
        text: 'The document is attached.',
      }),
      { model: OPEN },
    );
    const audio = [{ type: 'input_audio', input_audio: { format: 'wav', data } }];
    assert.throws(() => prepare(resulting({ content: audio }), { model: NOVA }), Unsupported);
  });

  it('marks after a result, wherever in it the mark stood', async () => {
    const expected = results(
      { toolResult: { toolUseId: 'a', content: [{ text: 'Seen' }] } },
      { cachePoint: { type: 'default' } },
    );
    const cache_control = { type: 'ephemeral' };
    await sends(resulting({ content: 'Seen', cache_control }), expected);
    await sends(resulting({ content: [{ type: 'text', text: 'Seen', cache_control }] }), expected);
  });

  it('keeps results together that something of the system stands between', () => {
    const request = loop(['a', 'b']);
    const messages = request['messages'] as JsonObject[];
    messages.splice(3, 0, { role: 'system', content: 'Be quick.' });
    const sent = sentJson(prepare(request));
    const last = (sent['messages'] as { content: JsonObject[] }[]).at(-1);
    assert.deepEqual(
      last?.content.map((block) => Object.keys(block)[0]),
      ['toolResult', 'toolResult', 'text'],
    );
  });

  it('tells calls and results as text where no tools may be called', async () => {
    const told: Expected = {
      messages: [
        { role: 'user', content: [{ text: 'What is it like?' }] },
        {
          role: 'assistant',
          content: [
            { text: 'Let me see.' },
            { text: '[Called the tool weather, call one, with {"city":"Paris"}]' },
          ],
        },
        {
          role: 'user',
          content: [{ text: '[Result of the tool weather, call one]\nResult of one' }, { text: 'And now?' }],
        },
      ],
    };
    await sends(loop(['one'], { tool_choice: 'none' }), told);
    const thinking = loop(['one'], { tools: null });
    const [, calling] = thinking['messages'] as JsonObject[];
    // What was thought is signed for calls that are none any more.
    Object.assign(calling ?? {}, { thinking_blocks: [{ type: 'thinking', thinking: 'a', signature: 's' }] });
    await sends(thinking, told);
    await sends(loop(['one'], { tools: null }), told);
    await sends(loop(['one'], { tools: [] }), told);
    const marked = loop(['one'], { tools: null });
    Object.assign((marked['messages'] as JsonObject[])[2] ?? {}, { cache_control: { type: 'ephemeral' } });
    const [, , last] = sentJson(prepare(marked))['messages'] as { content: Json[] }[];
    assert.deepEqual(last?.content[1], { cachePoint: { type: 'default' } });
    const picture = { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } };
    const shown = prepare({ ...resulting({ content: [picture], is_error: true }), tools: null });
    assert.deepEqual((sentJson(shown)['messages'] as Json[])[2], {
      role: 'user',
      content: [
        { text: '[Error of the tool look, call a]\n' },
        { image: { format: 'png', source: { bytes: 'AAAA' } } },
      ],
    });
  });

  const idsIn = (body: JsonObject) =>
    [...JSON.stringify(body['messages']).matchAll(/"toolUseId":"(.*?)"/g)].map(([, id]) => id ?? '');

  it('makes ids for Mistral of nine letters and digits, the same for a call and its result', () => {
    const ids = ['tooluse_AbC-1', 'tooluse_AbC-2', 'call_0123456789', 'aB3dE6gH9'];
    const [first, again] = [0, 1].map(() => idsIn(sentJson(prepare(loop(ids), { model: MISTRAL }))));
    assert.deepEqual(first, again);
    assert.ok(first?.every((id) => /^[A-Za-z0-9]{9}$/.test(id)));
    assert.equal(new Set(first).size, 4);
    assert.deepEqual(first?.slice(0, 4), first?.slice(4));
    assert.equal(first?.[3], 'aB3dE6gH9');
  });

  it('makes ids that others may not have', () => {
    const ids = ['functions.look:0', 'call|with|bars', 'x'.repeat(300), `${'x'.repeat(299)}y`, 'plain_1-2'];
    const claude = idsIn(sentJson(prepare(loop(ids))));
    assert.ok(claude.every((id) => /^[A-Za-z0-9_-]{1,64}$/.test(id)));
    assert.equal(new Set(claude).size, 5);
    assert.deepEqual(claude.slice(0, 5), claude.slice(5));
    assert.equal(claude[4], 'plain_1-2');
    const others = idsIn(sentJson(prepare(loop(ids), { model: 'moonshot.kimi-k2-thinking' })));
    assert.equal(others[0], 'functions.look:0');
    assert.ok(others.every((id) => /^[A-Za-z0-9_.:-]{1,64}$/.test(id)));
  });

  it('mends names in the history that are not allowed there', () => {
    const request = resulting({ content: 'Seen' });
    const [, calling] = request['messages'] as JsonObject[];
    assert.ok(calling);
    calling['tool_calls'] = [
      { id: 'a', type: 'function', function: { name: '<look> at!', arguments: '{}' } },
    ];
    assert.match(JSON.stringify(sentJson(prepare(request))), /"name":"_look__at_"/);
  });

  it('refuses arguments that are nested too deeply to be sent', () => {
    const request = resulting({ content: 'Seen' });
    const [, calling] = request['messages'] as JsonObject[];
    assert.ok(calling);
    const args = `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
    calling['tool_calls'] = [{ id: 'a', type: 'function', function: { name: 'look', arguments: args } }];
    assert.throws(() => prepare(request), Unsupported);
    assert.throws(() => prepare({ ...request, tools: null }), Unsupported);
  });

  it('refuses custom tools', () => {
    assert.throws(() => prepare(ask({ tools: [{ type: 'custom', custom: { name: 'x' } }] })), Unsupported);
  });
});
