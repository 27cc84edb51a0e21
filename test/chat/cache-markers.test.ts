import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { markConversation } from '../../src/chat/cache-markers.ts';
import type {
  CacheMark,
  Conversation,
  Part,
  TextPart,
  Tool,
  ToolResult,
  Turn,
} from '../../src/chat/conversation.ts';
import { type Billed, type Block, LEAST, PromptCache, saved } from './prompt-cache.ts';

const EMPTY: Conversation = {
  system: [],
  turns: [],
  tools: [],
  toolChoice: null,
  parallelToolCalls: null,
  maxTokens: null,
  temperature: null,
  topP: null,
  topK: null,
  stop: [],
  seed: null,
  presencePenalty: null,
  frequencyPenalty: null,
  n: 1,
  logprobs: false,
  topLogprobs: null,
  responseFormat: { kind: 'text' },
  reasoningEffort: null,
  thinkingBudget: null,
  user: null,
  metadata: null,
  serviceTier: null,
  others: {},
};

/** Of so many tokens. */
const words = (tokens: number, name = 'w') => name.repeat(tokens * 4).slice(0, tokens * 4);
const text = (tokens: number, name?: string, cache: CacheMark | null = null): TextPart => ({
  kind: 'text',
  text: words(tokens, name),
  cache,
  at: '',
});
const tool = (tokens: number, name = 'tool', cache: CacheMark | null = null): Tool => ({
  name,
  description: words(tokens, 'd'),
  parameters: null,
  strict: null,
  cache,
  at: '',
});
const user = (...parts: Part[]): Turn => ({ role: 'user', results: [], parts });
const assistant = (parts: TextPart[], calls = 0): Turn => ({
  role: 'assistant',
  thinking: [],
  reasoning: null,
  parts,
  calls: Array.from({ length: calls }, (_, index) => ({
    id: `call_${index}`,
    name: 'tool',
    input: {},
    thoughtSignature: null,
    at: '',
  })),
  thoughtSignature: null,
});
const results = (count: number, tokens: number, name = 'r', parts: Part[] = []): Turn => ({
  role: 'user',
  results: Array.from({ length: count }, (_, index) => ({
    callId: `call_${index}`,
    name: 'tool',
    parts: [text(tokens, `${name}${index}`)],
    isError: false,
    cache: null,
    at: '',
  })),
  parts,
});

/** Every place of a conversation, by its name. */
function placesOf({ tools, system, turns }: Conversation): Map<string, { cache: CacheMark | null }> {
  const places = new Map<string, { cache: CacheMark | null }>();
  for (const [i, one] of tools.entries()) places.set(`tool ${i}`, one);
  for (const [i, one] of system.entries()) places.set(`system ${i}`, one);
  for (const [i, turn] of turns.entries()) {
    if (turn.role === 'user')
      for (const [j, one] of turn.results.entries()) places.set(`turn ${i} result ${j}`, one);
    for (const [j, one] of turn.parts.entries()) places.set(`turn ${i} part ${j}`, one);
  }
  return places;
}

function marksOf(conversation: Partial<Conversation>): string[] {
  const whole = structuredClone({ ...EMPTY, ...conversation });
  markConversation(whole);
  return [...placesOf(whole)].flatMap(([name, { cache }]) =>
    cache === null ? [] : [cache.ttl === null ? name : `${name} ${cache.ttl}`],
  );
}

describe('markers placed in a conversation', () => {
  it('stand at the last tool, the end of the system prompt, large content and the latest results', () => {
    const conversation = {
      tools: [tool(2000), tool(10)],
      system: [text(3000), text(10)],
      turns: [user(text(12_000, 'doc'), text(10)), assistant([], 2), results(2, 500)],
    };
    assert.deepEqual(marksOf(conversation), ['tool 1', 'system 1', 'turn 0 part 0', 'turn 2 result 1']);
  });

  it('keep the place of the turn before, where one is left', () => {
    const turns = [user(text(2000)), assistant([], 1), results(1, 50), assistant([text(5)]), user(text(20))];
    assert.deepEqual(marksOf({ turns, system: [text(100)], tools: [tool(5)] }), [
      'tool 0',
      'system 0',
      'turn 2 result 0',
      'turn 4 part 0',
    ]);
    assert.deepEqual(marksOf({ turns }), ['turn 2 result 0', 'turn 4 part 0']);
  });

  it('keep it before tools and system, where the provider would not look back so far', () => {
    const near = [user(text(20)), assistant([], 9), results(10, 5)];
    const far = [user(text(20)), assistant([], 10), results(10, 5)];
    const before = { tools: [tool(2000)], system: [text(100)] };
    const [doc] = [text(11_000)];
    const withDoc = (turns: Turn[]) => ({
      ...before,
      turns: [user(doc as TextPart), assistant([]), ...turns],
    });
    const large = 'turn 0 part 0';
    assert.deepEqual(marksOf(withDoc(near)), ['tool 0', 'system 0', large, 'turn 4 result 9']);
    assert.deepEqual(marksOf(withDoc(far)), ['tool 0', 'system 0', 'turn 2 part 0', 'turn 4 result 9']);
  });

  it('go to the largest contents first', () => {
    const parts = [text(11_000), text(13_000), text(9_999), text(10_000), text(12_000), text(14_000)];
    const turns = [user(...parts, text(5))];
    const of = (...indices: number[]) => indices.map((index) => `turn 0 part ${index}`);
    assert.deepEqual(marksOf({ turns }), of(0, 1, 4, 5));
    assert.deepEqual(marksOf({ turns, system: [text(2000)] }), ['system 0', ...of(1, 4, 5)]);
    assert.deepEqual(marksOf({ turns: [user(text(9_999), text(10_000))] }), of(1));
    assert.deepEqual(marksOf({ turns: [assistant([text(20_000)])] }), []);
    assert.deepEqual(marksOf({ turns: [user({ ...text(0), text: ' '.repeat(80_000) }, text(5))] }), []);
    const old = [results(1, 20_000), assistant([]), user(text(1)), assistant([]), user(text(1))];
    assert.deepEqual(marksOf({ turns: old }), ['turn 2 part 0', 'turn 4 part 0']);
  });

  it('never cost the next turn its hit, however much large content there is', () => {
    const turns = [user(text(11_000), text(13_000), text(12_000)), assistant([], 1), results(1, 10)];
    assert.deepEqual(marksOf({ tools: [tool(2000)], turns }), [
      'tool 0',
      'turn 0 part 1',
      'turn 0 part 2',
      'turn 2 result 0',
    ]);
  });

  it('are not put to a single question that nobody will go on from', () => {
    assert.deepEqual(marksOf({ turns: [user(text(5000))] }), []);
    assert.deepEqual(marksOf({ system: [text(2000)], turns: [user(text(5000))] }), ['system 0']);
    assert.deepEqual(marksOf({ tools: [tool(10)], turns: [user(text(5000))] }), ['tool 0', 'turn 0 part 0']);
  });

  it('are left, where too little stands before them to be kept, to what is in want of them', () => {
    const documents = [11_000, 12_000, 13_000, 14_000].map((tokens) => text(tokens));
    const all = ['turn 0 part 0', 'turn 0 part 1', 'turn 0 part 2', 'turn 0 part 3'];
    const asked = { turns: [user(...documents)] };
    assert.deepEqual(marksOf({ ...asked, system: [text(1023)] }), all);
    assert.deepEqual(marksOf({ ...asked, system: [text(1024)] }), ['system 0', ...all.slice(1)]);
    assert.deepEqual(marksOf({ ...asked, tools: [tool(1000)], system: [text(20)] }), all);
    const three = { turns: [user(...documents.slice(1))] };
    assert.deepEqual(marksOf({ ...three, system: [text(5)] }), ['system 0', ...all.slice(0, 3)]);
    assert.deepEqual(marksOf({ system: [text(5)] }), ['system 0']);
    assert.deepEqual(marksOf({}), []);
  });

  it('take the length of pictures and files for what it comes to, not for its base64', () => {
    const data = 'A'.repeat(600_000);
    const image: Part = {
      kind: 'image',
      source: { kind: 'data', mediaType: 'image/png', data },
      detail: null,
      cache: null,
      at: '',
    };
    const file = (mediaType: string): Part => ({
      kind: 'file',
      source: { kind: 'data', mediaType, data },
      name: null,
      cache: null,
      at: '',
    });
    const named: Part = {
      kind: 'file',
      source: { kind: 'url', url: 'https://example.com/' },
      name: null,
      cache: null,
      at: '',
    };
    const audio: Part = { kind: 'audio', format: 'wav', data, cache: null, at: '' };
    const marked = (part: Part) => marksOf({ turns: [user(text(5000), part)] }).length === 1;
    assert.equal(marked(image), false);
    assert.equal(marked(audio), false);
    assert.equal(marked(file('application/pdf')), false);
    assert.equal(marked(file('text/plain')), true);
    assert.equal(marked(named), false);
  });

  it('never stand on thoughts, calls or empty texts', () => {
    const blank = { ...text(0), text: ' \n' };
    assert.deepEqual(
      marksOf({ tools: [tool(2000)], system: [text(9), blank], turns: [user(text(5), blank)] }),
      ['tool 0', 'system 0', 'turn 0 part 0'],
    );
    assert.deepEqual(marksOf({ tools: [tool(2000)], turns: [user(blank)] }), ['tool 0']);
    const thinking = assistant([], 1);
    if (thinking.role === 'assistant') thinking.thinking = [{ type: 'redacted_thinking', data: words(9000) }];
    assert.deepEqual(marksOf({ turns: [user(text(5)), thinking, user(text(5))] }), [
      'turn 0 part 0',
      'turn 2 part 0',
    ]);
  });

  it('stand at the end of the user turn where a system message or an unfinished answer comes last', () => {
    const turns: Turn[] = [user(text(2000)), { role: 'system', parts: [text(5)] }];
    assert.deepEqual(marksOf({ tools: [tool(5)], turns }), ['tool 0', 'turn 0 part 0']);
    assert.deepEqual(marksOf({ turns: [user(text(2000)), assistant([text(5)])] }), ['turn 0 part 0']);
  });
});

describe("a client's own markers", () => {
  const mark: CacheMark = { ttl: null };

  it('take the place of ours where they mean the same', () => {
    const conversation = {
      tools: [tool(2000, 'a', mark), tool(10)],
      system: [text(2000, 's', { ttl: '5m' }), text(10)],
      turns: [user(text(20)), assistant([], 1), results(1, 10, 'r', [text(5, 'q', mark)])],
    };
    assert.deepEqual(marksOf(conversation), ['tool 0', 'system 0 5m', 'turn 0 part 0', 'turn 2 part 0']);
  });

  it('count, wherever they are', () => {
    const result = results(1, 2000);
    if (result.role === 'user' && result.results[0]?.parts[0]) result.results[0].parts[0].cache = mark;
    const before = [user(text(10)), assistant([text(5, 'a', mark)], 1), result, assistant([text(1)])];
    const conversation = { tools: [tool(2000)], system: [text(2000)], turns: [...before, user(text(10))] };
    assert.deepEqual(marksOf(conversation), ['tool 0', 'turn 1 part 0', 'turn 4 part 0']);
    const four = [text(1, 'a', mark), text(1, 'b', mark), text(1, 'c', mark), text(1, 'd', mark)];
    assert.equal(marksOf({ ...conversation, system: four }).length, 5);
    assert.equal(
      marksOf({ tools: [tool(2000)], turns: [user(...four, text(1, 'e', mark), text(9))] }).length,
      5,
    );
  });

  it('stay as they are on what is large', () => {
    const own: CacheMark = { ttl: '5m' };
    const turns = [user(text(30_000, 'a', own), text(20_000), text(5))];
    assert.deepEqual(marksOf({ turns }), ['turn 0 part 0 5m', 'turn 0 part 1']);
  });

  it('after the latest user turn stand for the end of it', () => {
    const turns = [user(text(2000)), assistant([text(5, 'a', mark)])];
    assert.deepEqual(marksOf({ turns }), ['turn 1 part 0']);
  });

  it('help to find the turn before only from behind it, and from near', () => {
    const before = { tools: [tool(2000, 'a', mark)], system: [text(5, 's', mark)] };
    const far = (said: TextPart) => [user(text(20)), assistant([said], 15), results(15, 5)];
    assert.deepEqual(marksOf({ ...before, turns: far(text(5)) }), [
      'tool 0',
      'system 0',
      'turn 0 part 0',
      'turn 2 result 14',
    ]);
    const large = user(text(11_000), text(20));
    const [, answer, result] = far(text(5));
    const turns = [large, answer as Turn, result as Turn];
    assert.deepEqual(marksOf({ ...before, tools: [tool(2000)], turns }), [
      'tool 0',
      'system 0',
      'turn 0 part 1',
      'turn 2 result 14',
    ]);
    const { tools } = before;
    assert.deepEqual(marksOf({ tools, system: [text(5)], turns: far(text(5, 'a', mark)) }), [
      'tool 0',
      'system 0',
      'turn 1 part 0',
      'turn 2 result 14',
    ]);
  });

  it('leave the last one to the end of the latest turn', () => {
    const own = [text(2000, 'a', mark), text(2000, 'b', mark), text(2000, 'c', mark)];
    const turns = [user(text(20_000)), assistant([], 1), results(1, 10)];
    assert.deepEqual(marksOf({ tools: [tool(2000)], system: own, turns }), [
      'system 0',
      'system 1',
      'system 2',
      'turn 2 result 0',
    ]);
  });

  it('for an hour have ours before them for an hour as well, since a longer time must not follow a shorter one', () => {
    const turns = [user(text(20, 'u', { ttl: '1h' })), assistant([]), user(text(20))];
    assert.deepEqual(marksOf({ tools: [tool(2000)], system: [text(5)], turns }), [
      'tool 0 1h',
      'system 0 1h',
      'turn 0 part 0 1h',
      'turn 2 part 0',
    ]);
  });

  it('for the whole request stand for the end of it', () => {
    const conversation = { tools: [tool(2000)], system: [text(5)], turns: [user(text(20))] };
    const others = (ttl?: string) => ({
      others: { cache_control: { type: 'ephemeral', ...(ttl ? { ttl } : {}) } },
    });
    assert.deepEqual(marksOf({ ...conversation, ...others() }), ['tool 0', 'system 0']);
    assert.deepEqual(marksOf({ ...conversation, ...others('1h') }), ['tool 0 1h', 'system 0 1h']);
    const large = { turns: [user(text(11_000), text(12_000), text(13_000), text(14_000))] };
    assert.equal(marksOf({ ...large, ...others() }).length, 3);
  });
});

/** One round of an agent: what the model said and called, and what came back. */
const round = fc.record({
  said: fc.integer({ min: 0, max: 300 }),
  calls: fc.integer({ min: 0, max: 30 }),
  thoughts: fc.integer({ min: 0, max: 2 }),
  result: fc.integer({ min: 0, max: 2000 }),
  asked: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 300 }), fc.constant(11_000)),
});
const agent = fc.record({
  tools: fc.array(fc.integer({ min: 0, max: 800 }), { minLength: 1, maxLength: 6 }),
  system: fc.array(fc.integer({ min: 1, max: 3000 }), { maxLength: 3 }),
  asked: fc.array(fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 9000, max: 15_000 })), {
    minLength: 1,
    maxLength: 4,
  }),
  rounds: fc.array(round, { minLength: 1, maxLength: 8 }),
});
type Agent = typeof agent extends fc.Arbitrary<infer T> ? T : never;

/** The conversations that an agent sends, each as the client would send it: without our markers. */
function requestsOf({ tools, system, asked, rounds }: Agent): Conversation[] {
  const turns: Turn[] = [user(...asked.map((size, index) => text(size, `u${index}`)))];
  const requests: Turn[][] = [[...turns]];
  for (const [index, { said, calls, thoughts, result, asked }] of rounds.entries()) {
    const answer = assistant(said === 0 && calls > 0 ? [] : [text(said + 1, `a${index}`)], calls);
    if (answer.role === 'assistant') {
      answer.thinking = Array.from({ length: thoughts }, () => ({
        type: 'redacted_thinking',
        data: words(20, 't'),
      }));
    }
    const question = asked > 0 || calls === 0 ? [text(asked + 1, `q${index}`)] : [];
    turns.push(answer, results(calls, result, `r${index}.`, question));
    requests.push([...turns]);
  }
  return requests.map((all) =>
    structuredClone({
      ...EMPTY,
      tools: tools.map((size, index) => tool(size, `tool${index}`)),
      system: system.map((size, index) => text(size, `s${index}`)),
      turns: all,
    }),
  );
}

/** What the provider reads of it. */
function blocksOf({ tools, system, turns }: Conversation): Block[] {
  const block = (value: object, said: string, cache: CacheMark | null): Block => ({
    text: JSON.stringify({ ...value, cache: null }),
    tokens: Math.ceil(said.length / 4),
    marked: cache !== null,
  });
  const saying = (one: Part) => (one.kind === 'text' ? one.text : '');
  const part = (one: Part) => block(one, saying(one), one.cache);
  const result = (one: ToolResult) => block(one, one.parts.map(saying).join(''), one.cache);
  return [
    ...tools.map((one) => block(one, `${one.name}${one.description}1234`, one.cache)),
    ...system.map(part),
    ...turns.flatMap((turn): Block[] => {
      if (turn.role === 'user') return [...turn.results.map(result), ...turn.parts.map(part)];
      if (turn.role === 'system') return turn.parts.map(part);
      return [
        ...turn.thinking.map((one) => block(one, 't'.repeat(80), null)),
        ...turn.parts.map(part),
        ...turn.calls.map((one) => block(one, 'tool12', null)),
      ];
    }),
  ];
}

const total = (blocks: readonly Block[]) => blocks.reduce((sum, { tokens }) => sum + tokens, 0);

describe('an agent of many turns', () => {
  it('reads all but its newest turn from the cache, from the second request on', () => {
    fc.assert(
      fc.property(agent, (one) => {
        const cache = new PromptCache();
        let before = 0;
        for (const conversation of requestsOf(one)) {
          markConversation(conversation);
          const blocks = blocksOf(conversation);
          const { read } = cache.request(blocks);
          if (before >= LEAST + 10) assert.ok(read >= before, `read ${read} of ${before}`);
          before = total(blocks);
        }
      }),
      { numRuns: 150 },
    );
  });

  it('pays less than without markers, but for what only its last request wrote', () => {
    fc.assert(
      fc.property(agent, (one) => {
        const cache = new PromptCache();
        const billed = requestsOf(one).map((conversation): Billed => {
          markConversation(conversation);
          return cache.request(blocksOf(conversation));
        });
        const last = billed.at(-1) as Billed;
        const sum = billed.reduce((all, each) => all + saved(each), 0) + last.written * 0.25;
        const kept = billed.slice(0, -1).some(({ written }) => written > 0);
        assert.ok(kept ? sum > 0 : sum === 0, `saved ${sum}`);
      }),
      { numRuns: 150 },
    );
  });

  it('pays a fifth of the full price in a loop of twenty calls', () => {
    const cache = new PromptCache();
    const rounds = Array.from({ length: 20 }, () => ({
      said: 30,
      calls: 1,
      thoughts: 1,
      result: 500,
      asked: 0,
    }));
    let [full, paid] = [0, 0];
    for (const conversation of requestsOf({ tools: [700, 700], system: [3000], asked: [200], rounds })) {
      markConversation(conversation);
      const blocks = blocksOf(conversation);
      full += total(blocks);
      paid += total(blocks) - saved(cache.request(blocks));
    }
    assert.ok(paid < full / 5, `${paid} of ${full}`);
  });

  it('finds tools and system as another conversation left them', () => {
    const cache = new PromptCache();
    const of = (asked: number) => {
      const [first] = requestsOf({ tools: [700, 700], system: [3000], asked: [asked], rounds: [] });
      markConversation(first as Conversation);
      return cache.request(blocksOf(first as Conversation));
    };
    of(100);
    assert.ok(of(200).read > 4400);
  });
});

/** Conversations with markers of the client's here and there. */
const arbitrary = fc
  .tuple(agent, fc.array(fc.nat({ max: 60 }), { maxLength: 6 }), fc.constantFrom(null, '5m', '1h'))
  .map(([one, marks, ttl]) => {
    const conversation = requestsOf(one).at(-1) as Conversation;
    const places = [...placesOf(conversation).values()];
    for (const mark of marks) {
      const place = places[mark % places.length];
      if (place) place.cache = { ttl: ttl as CacheMark['ttl'] };
    }
    return conversation;
  });

const cachesOf = (conversation: Conversation) =>
  [...placesOf(conversation).values()].map(({ cache }) => cache);

describe('markers, whatever the conversation', () => {
  it('are never more than four, but for those of a client', () => {
    fc.assert(
      fc.property(arbitrary, (conversation) => {
        const own = cachesOf(conversation).filter(Boolean).length;
        markConversation(conversation);
        assert.ok(cachesOf(conversation).filter(Boolean).length <= Math.max(4, own));
      }),
      { numRuns: 300 },
    );
  });

  it("leave a client's own, and everything else, as they are", () => {
    fc.assert(
      fc.property(arbitrary, (conversation) => {
        const before = structuredClone(conversation);
        const own = cachesOf(before);
        markConversation(conversation);
        for (const [index, cache] of cachesOf(conversation).entries()) {
          if (own[index]) assert.deepEqual(cache, own[index]);
        }
        for (const place of placesOf(conversation).values()) place.cache = null;
        for (const place of placesOf(before).values()) place.cache = null;
        assert.deepEqual(conversation, before);
      }),
      { numRuns: 300 },
    );
  });

  it('are the same when placed again, and each time', () => {
    fc.assert(
      fc.property(arbitrary, (conversation) => {
        const other = structuredClone(conversation);
        markConversation(conversation);
        markConversation(other);
        assert.deepEqual(conversation, other);
        markConversation(other);
        assert.deepEqual(conversation, other);
      }),
      { numRuns: 300 },
    );
  });

  it('never have a longer time after a shorter one, unless a client put it so', () => {
    fc.assert(
      fc.property(arbitrary, (conversation) => {
        markConversation(conversation);
        const ttls = cachesOf(conversation).flatMap((cache) => (cache === null ? [] : [cache.ttl ?? '5m']));
        assert.ok(
          ttls.lastIndexOf('1h') < ttls.indexOf('5m') || !ttls.includes('5m') || !ttls.includes('1h'),
        );
      }),
      { numRuns: 300 },
    );
  });
});
