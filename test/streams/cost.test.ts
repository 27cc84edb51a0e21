import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import OpenAI from 'openai';
import type { JsonObject } from '../../src/core/json.ts';
import type { Usage } from '../../src/core/usage.ts';
import type { Price } from '../../src/upstream/stream-roles.ts';
import { FINISH, ROLE, readEvents, text, usage } from '../support/rig.ts';
import { type StreamItem, stream } from '../support/upstream.ts';
import { delivered, openTarget } from './visit.ts';

/** A microdollar for a token of input, two for one of output. */
const PRICE: Price = ({ input, output }) => (input + 2 * output) / 1e6;

interface Case {
  price?: Price | null;
  wantsUsage?: boolean;
  done?: boolean;
}

/** What a client gets of a stream of these events. */
async function receive(t: Parameters<typeof openTarget>[0], events: readonly StreamItem[], one: Case = {}) {
  const { price = PRICE, wantsUsage = true } = one;
  const target = await openTarget(t);
  target.upstream.enqueue(stream(events));
  const asked = await target.ask({}, price === null ? {} : { priceOf: () => price }, wantsUsage);
  return delivered(asked.stream);
}

/** The `usage` of each chunk that has one. */
function usages(received: string): JsonObject[] {
  const chunks = readEvents(received).chunks as unknown as { usage?: JsonObject | null }[];
  return chunks.flatMap((chunk) => (chunk.usage ? [chunk.usage] : []));
}

function event(json: object): string {
  return `data: ${JSON.stringify(json)}\n\n`;
}

describe('the cost of a stream', () => {
  it('stands in its usage chunk, beside all that stood there', async (t) => {
    const received = await receive(t, [ROLE, text('Hello'), FINISH, usage(9, 12)]);
    const { usage: reported, ...chunk } = usage(9, 12) as { usage: object };
    const expected = [ROLE, text('Hello'), FINISH, { ...chunk, usage: { ...reported, cost: 0.000033 } }];
    assert.equal(received, `${expected.map(event).join('')}data: [DONE]\n\n`);
  });

  it('leaves the bytes around it as they came', async (t) => {
    const chunk = (usage: string) =>
      `data: {"id":"\\u0078", "n":12345678901234567890,"t":1.10,"choices":[],"usage":${usage},"last":"é\\/"}\n\n`;
    const counted = '{"prompt_tokens":9,"completion_tokens":12,"x":{"a":[1]}';
    const received = await receive(t, [ROLE, text('Hello'), FINISH, Buffer.from(chunk(`${counted}}`))]);
    assert.ok(received.includes(chunk(`${counted},"cost":0.000033}`)), received);
  });

  it('is told of all kinds of tokens', async (t) => {
    const seen: Usage[] = [];
    const full = {
      prompt_tokens: 100,
      completion_tokens: 50,
      prompt_tokens_details: { cached_tokens: 64 },
      completion_tokens_details: { reasoning_tokens: 30 },
    };
    const price = (usage: Usage) => {
      seen.push(usage);
      return 1;
    };
    const received = await receive(t, [ROLE, text('Hello'), FINISH, { ...usage(), usage: full }], { price });
    assert.deepEqual(usages(received), [{ ...full, cost: 1 }]);
    assert.equal(seen.length, 1);
    assert.deepEqual(
      [seen[0]?.input, seen[0]?.output, seen[0]?.cached, seen[0]?.reasoning],
      [100, 50, 64, 30],
    );
  });

  it('stands where a host has its usage: on the chunk that finishes', async (t) => {
    const counted = { prompt_tokens: 9, completion_tokens: 12 };
    const received = await receive(t, [ROLE, text('Hello'), { ...FINISH, usage: counted }]);
    assert.deepEqual(usages(received), [{ ...counted, cost: 0.000033 }]);
  });

  it("stands where a host has its usage: under Groq's own name", async (t) => {
    const x_groq = { id: 'req_1', usage: { prompt_tokens: 9, completion_tokens: 12 } };
    const received = await receive(t, [ROLE, text('Hello'), { ...FINISH, x_groq }]);
    const priced = { ...FINISH, x_groq: { ...x_groq, usage: { ...x_groq.usage, cost: 0.000033 } } };
    assert.ok(received.includes(event(priced)), received);
  });

  it('stands where a host has its usage: on every chunk, as a running total', async (t) => {
    const running = (json: object, completion_tokens: number) => ({
      ...json,
      usage: { prompt_tokens: 10, completion_tokens },
    });
    const received = await receive(t, [
      running(ROLE, 0),
      running(text('Hello'), 1),
      running(text(' world'), 2),
      running(FINISH, 2),
      running(usage(), 2),
    ]);
    assert.deepEqual(
      usages(received).map(({ cost }) => cost),
      [0.00001, 0.000012, 0.000014, 0.000014, 0.000014],
    );
    assert.equal(readEvents(received).content, 'Hello world');
  });

  it('is asked for only where there is usage', async (t) => {
    let asked = 0;
    const price = () => ++asked;
    const early = { ...text('Hello'), usage: { prompt_tokens: 10, completion_tokens: 1 } };
    const received = await receive(t, [ROLE, early, text(' world'), text('!'), FINISH, usage()], { price });
    assert.deepEqual(
      usages(received).map(({ cost }) => cost),
      [1, 2],
    );
    assert.equal(asked, 2);
  });

  it('stands in a chunk that is mended as well', async (t) => {
    const { choices: _, ...without } = usage(9, 12) as { choices: unknown };
    const bare = {
      ...FINISH,
      choices: [{ finish_reason: 'stop' }],
      usage: { prompt_tokens: 9, completion_tokens: 12 },
    };
    for (const last of [[FINISH, without], [bare]]) {
      const received = await receive(t, [ROLE, text('Hello'), ...last]);
      assert.equal(usages(received)[0]?.['cost'], 0.000033);
    }
  });

  it('stands in a chunk that came on several lines, or with other line ends', async (t) => {
    const lines = JSON.stringify(usage(9, 12), null, 1).split('\n');
    for (const sent of [
      lines.map((line) => `data: ${line}`).join('\n'),
      `id: 7\nevent: message\r\ndata:${JSON.stringify(usage(9, 12))}\r`,
    ]) {
      const received = await receive(t, [ROLE, text('Hello'), FINISH, sent]);
      assert.equal(usages(received)[0]?.['cost'], 0.000033);
    }
  });

  const unknown: Record<string, [sent: object, received: object]> = {
    'it is null': [{}, { cost: null }],
    "the host's own is kept": [{ cost: 0.5 }, { cost: 0.5 }],
    "the host's own nothing is null": [{ cost: null }, { cost: null }],
  };
  for (const [name, [sent, expected]] of Object.entries(unknown)) {
    for (const none of [null, Number.NaN, Infinity]) {
      it(`where no price is known (${none}): ${name}`, async (t) => {
        const counted = { prompt_tokens: 9, completion_tokens: 12 };
        const chunk = { ...usage(), usage: { ...counted, ...sent } };
        const received = await receive(t, [ROLE, text('Hello'), FINISH, chunk], { price: () => none });
        assert.deepEqual(usages(received), [{ ...counted, ...expected }]);
      });
    }
  }

  it("is ours, not the host's own, where a price is known", async (t) => {
    const chunk = {
      ...usage(),
      usage: { prompt_tokens: 9, completion_tokens: 12, cost: 0.5, cost_details: {} },
    };
    const received = await receive(t, [ROLE, text('Hello'), FINISH, chunk]);
    assert.deepEqual(usages(received), [
      { prompt_tokens: 9, completion_tokens: 12, cost: 0.000033, cost_details: {} },
    ]);
  });

  it('is not told to a client that did not ask for usage', async (t) => {
    const counted = { ...text('Hello'), usage: { prompt_tokens: 9, completion_tokens: 12 } };
    const price = () => assert.fail('nobody asked');
    const received = await receive(t, [ROLE, counted, FINISH, usage()], { price, wantsUsage: false });
    assert.equal(received, `${[ROLE, counted, FINISH].map(event).join('')}data: [DONE]\n\n`);
  });

  it('is not told where nothing is said of prices, nor where the host reports no usage', async (t) => {
    const events = [ROLE, text('Hello'), FINISH, usage(9, 12)];
    const untouched = `${events.map(event).join('')}data: [DONE]\n\n`;
    assert.equal(await receive(t, events, { price: null }), untouched);
    const price = () => assert.fail('there is nothing to price');
    const without = [ROLE, text('Hello'), { ...FINISH, usage: null }];
    assert.equal(await receive(t, without, { price }), `${without.map(event).join('')}data: [DONE]\n\n`);
  });

  it('is told by the target that answers', async (t) => {
    const target = await openTarget(t);
    const { stream } = await target.ask(
      { stream_options: { include_usage: true } },
      { priceOf: (asked) => (asked === target.settings ? () => 7 : () => 8) },
    );
    assert.equal(usages(await delivered(stream))[0]?.['cost'], 7);
  });

  it('does not keep a chunk from its client that is too strange to be changed', async (t) => {
    const deep = `${'['.repeat(600)}${']'.repeat(600)}`;
    const chunk = JSON.stringify(usage(9, 12)).replace('"choices"', `"deep":${deep},"choices"`);
    const received = await receive(t, [ROLE, text('Hello'), FINISH, `data: ${chunk}`]);
    assert.ok(received.includes(`data: ${chunk}\n\n`));
  });

  it("is there for the official SDK to read, in a loop and from its helper's whole answer", async (t) => {
    const received = await receive(t, [ROLE, text('Hello'), FINISH, usage(9, 12)]);
    const client = new OpenAI({
      apiKey: 'anything',
      baseURL: 'http://gateway/v1',
      fetch: async () => new Response(received, { headers: { 'content-type': 'text/event-stream' } }),
    });
    const body = {
      model: 'm',
      messages: [{ role: 'user' as const, content: 'hello' }],
      stream_options: { include_usage: true },
    };
    const found: unknown[] = [];
    for await (const chunk of await client.chat.completions.create({ ...body, stream: true })) {
      if (chunk.usage) found.push(chunk.usage);
    }
    const whole = await client.chat.completions.stream(body).finalChatCompletion();
    const expected = { prompt_tokens: 9, completion_tokens: 12, total_tokens: 21, cost: 0.000033 };
    assert.deepEqual(found, [expected]);
    assert.deepEqual(whole.usage, expected);
    assert.equal(whole.choices[0]?.message.content, 'Hello');
  });
});
