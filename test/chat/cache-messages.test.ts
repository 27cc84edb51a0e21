import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { MessageCreateParams, MessageParam, TextBlockParam } from '@anthropic-ai/sdk/resources/messages';
import fc from 'fast-check';
import { markMessages } from '../../src/chat/cache-markers.ts';
import type { Json, JsonObject } from '../../src/core/json.ts';
import { type Block, PromptCache } from './prompt-cache.ts';

const CONTROL = { type: 'ephemeral' } as const;
const words = (tokens: number, name = 'w') => name.repeat(tokens * 4).slice(0, tokens * 4);
const text = (tokens: number, name?: string): TextBlockParam => ({ type: 'text', text: words(tokens, name) });
const tool = (name: string, tokens = 10) => ({
  name,
  description: words(tokens),
  input_schema: { type: 'object' as const },
});
const body = (params: Partial<MessageCreateParams>) =>
  freeze(structuredClone({ model: 'm', max_tokens: 1, messages: [], ...params }) as unknown as JsonObject);

function freeze<T extends Json>(value: T): T {
  if (typeof value === 'object' && value !== null) for (const inner of Object.values(value)) freeze(inner);
  return Object.freeze(value);
}

function marked(params: Partial<MessageCreateParams>): JsonObject {
  return Object.fromEntries(markMessages(body(params))) as JsonObject;
}

describe("markers placed in a request of Anthropic's", () => {
  it('are its cache_control, in the members that change and in no other', () => {
    const messages: MessageParam[] = [
      { role: 'user', content: [text(12_000), text(5)] },
      {
        role: 'assistant',
        content: [
          { type: 'thinking', thinking: 'hm', signature: 's' },
          { type: 'tool_use', id: 'a', name: 'one', input: {} },
        ],
      },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'a', content: 'yes' }] },
    ];
    const changes = marked({
      messages,
      tools: [tool('one'), tool('two', 1500)],
      system: [text(10)],
      stop_sequences: ['x'],
    });
    const expected = {
      tools: [tool('one'), { ...tool('two', 1500), cache_control: CONTROL }],
      system: [{ ...text(10), cache_control: CONTROL }],
      messages: [
        { role: 'user', content: [{ ...text(12_000), cache_control: CONTROL }, text(5)] },
        messages[1] as MessageParam,
        {
          role: 'user',
          content: [{ type: 'tool_result', tool_use_id: 'a', content: 'yes', cache_control: CONTROL }],
        },
      ],
    } satisfies Partial<MessageCreateParams>;
    assert.deepEqual(changes, expected);
  });

  it('make a block of what is only a text', () => {
    const changes = marked({
      system: words(2000),
      messages: [
        { role: 'user', content: 'a' },
        { role: 'assistant', content: 'b' },
        { role: 'user', content: 'c' },
      ],
    });
    const block = (said: string) => [{ type: 'text' as const, text: said, cache_control: CONTROL }];
    const expected = {
      system: block(words(2000)),
      messages: [
        { role: 'user', content: block('a') },
        { role: 'assistant', content: 'b' },
        { role: 'user', content: block('c') },
      ],
    } satisfies Partial<MessageCreateParams>;
    assert.deepEqual(changes, expected);
  });

  it('make nothing of what is no list of tools', () => {
    assert.equal(markMessages({ tools: words(9000), messages: words(9000) }).size, 0);
  });

  it('change nothing where there is nothing to be kept', () => {
    assert.deepEqual(marked({}), {});
    assert.deepEqual(marked({ messages: [{ role: 'user', content: words(9000) }] }), {});
  });

  it('never stand on a tool that is loaded later, which the provider refuses', () => {
    const later = { ...tool('later', 3000), defer_loading: true };
    const tools = [tool('a', 2000), later];
    assert.deepEqual(marked({ tools })['tools'], [{ ...tool('a', 2000), cache_control: CONTROL }, later]);
    assert.deepEqual(marked({ tools: [later] }), {});
    const both = marked({ tools: [tool('a'), later], messages: [{ role: 'user', content: 'hi' }] });
    assert.deepEqual(both['tools'], [{ ...tool('a'), cache_control: CONTROL }, later]);
    const toolset = { type: 'mcp_toolset', mcp_server_name: 'x', default_config: { defer_loading: true } };
    const all = [tool('a', 2000), toolset] as unknown as NonNullable<MessageCreateParams['tools']>;
    assert.deepEqual(
      Object.hasOwn((marked({ tools: all })['tools'] as JsonObject[])[1] as object, 'cache_control'),
      false,
    );
  });

  it('leave those of the client where they are, and count them, wherever they are', () => {
    const own = { type: 'ephemeral', ttl: '1h' } as const;
    const nested: MessageParam = {
      role: 'user',
      content: [
        { type: 'tool_result', tool_use_id: 'a', content: [{ ...text(9), cache_control: own }] },
        {
          type: 'document',
          source: { type: 'content', content: [{ ...text(9), cache_control: own }] },
        },
      ],
    };
    const system: TextBlockParam[] = [{ ...text(2000), cache_control: own }];
    const messages: MessageParam[] = [
      nested,
      { role: 'assistant', content: 'ok' },
      { role: 'user', content: 'go on' },
    ];
    assert.deepEqual(marked({ tools: [tool('a', 2000)], system, messages }), {
      messages: [
        nested,
        messages[1],
        { role: 'user', content: [{ type: 'text', text: 'go on', cache_control: CONTROL }] },
      ],
    });
    assert.deepEqual(marked({ tools: [tool('a', 2000)], messages: [nested] }), {
      tools: [{ ...tool('a', 2000), cache_control: own }],
    });
  });

  it('count each of those on and in one block', () => {
    const own = { ...text(9), cache_control: CONTROL };
    const messages: MessageParam[] = [
      {
        role: 'user',
        content: [{ type: 'tool_result', tool_use_id: 'a', content: [own, own], cache_control: CONTROL }],
      },
    ];
    assert.deepEqual(Object.keys(marked({ tools: [tool('a', 2000)], system: words(9), messages })), [
      'tools',
    ]);
  });

  it('never stand on an old result or answer, however large', () => {
    const turn = (content: MessageParam['content']): MessageParam[] => [
      { role: 'user', content },
      { role: 'assistant', content: words(20_000) },
      { role: 'user', content: 'a' },
      { role: 'assistant', content: 'b' },
      { role: 'user', content: 'c' },
    ];
    const result = [{ type: 'tool_result' as const, tool_use_id: 'a', content: words(20_000) }];
    const [first, second] = marked({ messages: turn(result) })['messages'] as JsonObject[];
    assert.deepEqual([first?.['content'], second?.['content']], [result, words(20_000)]);
  });

  it('for the whole request take a place, and stand for its end', () => {
    const large = [11_000, 12_000, 13_000, 14_000].map((size) => text(size));
    const messages: MessageParam[] = [{ role: 'user', content: large }];
    const count = (changes: JsonObject) => JSON.stringify(changes).split('cache_control').length - 1;
    assert.equal(count(marked({ messages })), 4);
    assert.equal(count(marked({ messages, cache_control: CONTROL })), 3);
    assert.equal(
      JSON.stringify(marked({ messages, cache_control: { ...CONTROL, ttl: '1h' } })).split('1h').length - 1,
      3,
    );
    const tools = [tool('a', 2000)];
    const small: MessageParam[] = [{ role: 'user', content: 'hi' }];
    assert.deepEqual(Object.keys(marked({ tools, messages: small })), ['tools', 'messages']);
    assert.deepEqual(Object.keys(marked({ tools, messages: small, cache_control: CONTROL })), ['tools']);
    const without: MessageParam[] = [{ role: 'user', content: [{ ...text(2000), cache_control: null }] }];
    assert.equal(count(marked({ tools, messages: without, cache_control: null })), 2);
  });

  it('take messages of one role in a row for one turn', () => {
    const messages: MessageParam[] = [
      { role: 'user', content: words(2000) },
      { role: 'user', content: 'a' },
      { role: 'assistant', content: 'b' },
      { role: 'user', content: 'c' },
      { role: 'user', content: 'd' },
    ];
    const [first, second, third, fourth, fifth] = marked({ messages })['messages'] as JsonObject[];
    assert.deepEqual([first, third, fourth], [messages[0], messages[2], messages[3]]);
    assert.deepEqual(second?.['content'], [{ type: 'text', text: 'a', cache_control: CONTROL }]);
    assert.deepEqual(fifth?.['content'], [{ type: 'text', text: 'd', cache_control: CONTROL }]);
  });

  it('stand on no block that is not known to take one', () => {
    const last = (content: Json) =>
      markMessages(
        body({ tools: [tool('a', 2000)], messages: [{ role: 'user', content } as unknown as MessageParam] }),
      ).has('messages');
    assert.equal(last([{ type: 'search_result', source: 's', title: 't', content: [] }]), true);
    assert.equal(last([{ type: 'yet_to_come' }]), false);
    assert.equal(last([{ type: 'thinking', thinking: 'hm', signature: 's' }]), false);
    assert.equal(last([{ type: 'text', text: ' \n' }]), false);
    assert.equal(last('  '), false);
    assert.equal(last([{ type: 'text' }]), false);
    assert.equal(last([null]), false);
  });

  it('judge pictures and files by what they come to', () => {
    const data = 'A'.repeat(600_000);
    const marks = (block: JsonObject) =>
      markMessages(
        body({ messages: [{ role: 'user', content: [text(5000), block] } as unknown as MessageParam] }),
      ).size === 1;
    assert.equal(marks({ type: 'image', source: { type: 'base64', media_type: 'image/png', data } }), false);
    assert.equal(
      marks({ type: 'document', source: { type: 'base64', media_type: 'application/pdf', data } }),
      false,
    );
    assert.equal(
      marks({ type: 'document', source: { type: 'base64', media_type: 'text/plain', data } }),
      true,
    );
    assert.equal(marks({ type: 'document', source: { type: 'text', media_type: 'text/plain', data } }), true);
    assert.equal(marks({ type: 'document', source: { type: 'url', url: data } }), false);
    assert.equal(marks({ type: 'document', source: { type: 'content', content: words(10_000) } }), true);
    assert.equal(marks({ type: 'document', source: { type: 'content', content: words(9_999) } }), false);
    assert.equal(marks({ type: 'document' }), false);
    assert.equal(marks({ type: 'document', source: { type: 'text', data: words(10_000) } }), true);
    assert.equal(marks({ type: 'document', source: { type: 'text', data: words(9_999) } }), false);
  });
});

/** What the provider reads of a request. */
function blocksOf(params: JsonObject): Block[] {
  const list = (content: Json | undefined): JsonObject[] =>
    typeof content === 'string' ? [{ type: 'text', text: content }] : ((content ?? []) as JsonObject[]);
  const all = [
    ...list(params['tools']),
    ...list(params['system']),
    ...list(params['messages']).flatMap(({ role, content }) =>
      list(content).map((one) => ({ ...one, role: role as Json })),
    ),
  ];
  return all.map((one) => {
    const { cache_control: control, ...rest } = one as JsonObject;
    return {
      text: JSON.stringify(rest),
      tokens: Math.ceil(JSON.stringify(rest).length / 4),
      marked: Boolean(control),
    };
  });
}

describe("an agent that speaks Anthropic's words", () => {
  it('reads all but its newest turn from the cache, from the second request on', () => {
    const round = fc.record({
      calls: fc.integer({ min: 1, max: 25 }),
      size: fc.integer({ min: 5, max: 1500 }),
      plain: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(round, { minLength: 1, maxLength: 6 }), fc.boolean(), (rounds, hasSystem) => {
        const cache = new PromptCache();
        const messages: MessageParam[] = [{ role: 'user', content: words(200) }];
        const tools = [tool('one', 600), tool('two', 900)];
        let before = 0;
        for (const { calls, size, plain } of [...rounds, { calls: 1, size: 1, plain: true }]) {
          const params = body({ messages, tools, ...(hasSystem ? { system: words(500) } : {}) });
          const blocks = blocksOf({ ...params, ...Object.fromEntries(markMessages(params)) });
          assert.deepEqual(
            blocks.map((one) => one.text),
            blocksOf(params).map((one) => one.text),
          );
          const { read } = cache.request(blocks);
          assert.ok(read >= before, `read ${read} of ${before}`);
          before = blocks.reduce((sum, { tokens }) => sum + tokens, 0);
          const ids = Array.from({ length: calls }, (_, index) => `${messages.length}.${index}`);
          messages.push({
            role: 'assistant',
            content: plain
              ? words(9, 'a')
              : ids.map((id) => ({ type: 'tool_use', id, name: 'one', input: {} })),
          });
          messages.push({
            role: 'user',
            content: plain
              ? words(size, 'q')
              : ids.map((id) => ({ type: 'tool_result', tool_use_id: id, content: words(size, 'r') })),
          });
        }
      }),
      { numRuns: 100 },
    );
  });
});

describe('markers, whatever the request', () => {
  const anything = fc.jsonValue({ maxDepth: 4 }) as fc.Arbitrary<Json>;
  const control = fc.constantFrom<Json>({ type: 'ephemeral' }, { type: 'ephemeral', ttl: '1h' }, null, 3);
  const block = fc.oneof(
    fc.record(
      {
        type: fc.constantFrom<Json>('text', 'image', 'tool_result', 'thinking', 'document', 7),
        text: fc.constantFrom<Json>('', words(3000), null),
        content: anything,
        cache_control: control,
      },
      { requiredKeys: [] },
    ),
    anything,
  ) as fc.Arbitrary<Json>;
  const blocks = fc.oneof(fc.array(block, { maxLength: 5 }), anything) as fc.Arbitrary<Json>;
  const message = fc.oneof(
    fc.record({ role: fc.constantFrom<Json>('user', 'assistant', 'system', null), content: blocks }),
    anything,
  ) as fc.Arbitrary<Json>;
  const request = fc.record(
    {
      tools: blocks,
      system: blocks,
      messages: fc.oneof(fc.array(message, { maxLength: 6 }), anything) as fc.Arbitrary<Json>,
      cache_control: control,
    },
    { requiredKeys: [] },
  ) as fc.Arbitrary<JsonObject>;

  it('are placed without a fault, a change to what is given, or one too many; and the same when placed again', () => {
    fc.assert(
      fc.property(request, (params) => {
        freeze(params);
        const changes = Object.fromEntries(markMessages(params)) as JsonObject;
        assert.deepEqual(
          Object.keys(changes).filter((name) => !['tools', 'system', 'messages'].includes(name)),
          [],
        );
        const count = (value: JsonObject) =>
          JSON.stringify(value).split('"cache_control":{"type":"ephemeral"').length - 1;
        const after = { ...params, ...changes };
        assert.ok(count(after) <= Math.max(4, count(params)));
        assert.equal(markMessages(after).size, 0);
        assert.deepEqual(Object.fromEntries(markMessages(params)), changes);
      }),
      { numRuns: 1000 },
    );
  });
});
