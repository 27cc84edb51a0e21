import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { delta, ROLE, readEvents } from '../support/rig.ts';
import { chatStream, close, flush, stream } from '../support/upstream.ts';
import { brokenAfter, RATES, restAfter, startPair, TOKENS, whole } from './kit.ts';

const WITH_USAGE = { stream_options: { include_usage: true } };

interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  cost?: number;
}

/** The usage that a client is told; fails unless that is once, last, and consistent. */
function usageOf(text: string): Usage {
  const { chunks, error } = readEvents(text);
  assert.equal(error, null);
  const told = chunks.filter(({ usage }) => usage != null);
  assert.equal(told.length, 1);
  assert.equal(told[0], chunks.at(-1));
  assert.ok(chunks.slice(0, -1).every((chunk) => chunk.usage === null));
  const usage = told[0]?.usage as Usage;
  assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
  return usage;
}

const cost = (target: keyof typeof RATES, input: number, output: number) =>
  (input * RATES[target][0] + output * RATES[target][1]) / 1e9;

describe('an answer that several targets wrote', () => {
  it('takes its prompt once, and its output as often as it was told: by whoever gave all of it', async (t) => {
    const pair = await startPair(t);
    pair.upstreams[0].enqueue(brokenAfter(8));
    pair.upstreams[1].enqueue(whole());
    const usage = usageOf(await pair.ask(WITH_USAGE));
    assert.equal(usage.prompt_tokens, 9);
    assert.equal(usage.completion_tokens, 20);
    const line = await pair.line();
    assert.deepEqual(line.tokens, { input: 9, output: 20, cached: 0, reasoning: 0 });
    const { parts = [] } = line;
    assert.deepEqual(
      parts.map(({ target }) => target),
      ['a/up', 'b/up'],
    );
    const [first, second] = parts.map(({ output }) => output) as [number, number];
    assert.equal(first + second, 20);
    assert.ok(first >= 6 && first <= 10, `eight of twenty tokens were the first one's: ${first}`);
    assert.equal(parts[0]?.cost_usd, cost('a/up', 9, first));
    assert.equal(parts[1]?.cost_usd, cost('b/up', 0, second));
    assert.ok(Math.abs((usage.cost ?? 0) - cost('a/up', 9, first) - cost('b/up', 0, second)) < 1e-12);
    assert.equal(line.cost_usd, usage.cost);
  });

  it('takes what was given as the beginning only once', async (t) => {
    const pair = await startPair(t, { targets: [{}, { prefill: true }] });
    pair.upstreams[0].enqueue(brokenAfter(8));
    pair.upstreams[1].enqueue(restAfter(8));
    const usage = usageOf(await pair.ask(WITH_USAGE));
    // The second was asked with 17 tokens and wrote 12.
    assert.equal(usage.total_tokens, 29);
    const { parts = [], tokens } = await pair.line();
    assert.equal(parts[1]?.output, 12);
    assert.equal((parts[0]?.output ?? 0) + 12, usage.completion_tokens);
    assert.equal(tokens?.estimated, true, 'what the first one wrote was counted here');
  });

  it('takes the prompt by the word of the first, if it told', async (t) => {
    const pair = await startPair(t);
    const early = { ...delta({ content: ' a' }), usage: { prompt_tokens: 11, completion_tokens: 2 } };
    pair.upstreams[0].enqueue(
      chatStream({ content: ['It was', (exchange) => exchange.write(chunkOf(early)), flush, close()] }),
    );
    pair.upstreams[1].enqueue(whole());
    const { chunks } = readEvents(await pair.ask(WITH_USAGE));
    assert.equal(chunks.at(-1)?.usage?.prompt_tokens, 11);
    assert.equal((await pair.line()).tokens?.input, 11);
  });

  it('is counted here where nobody told', async (t) => {
    const pair = await startPair(t);
    pair.upstreams[0].enqueue(brokenAfter(8));
    pair.upstreams[1].enqueue(whole({ usage: null }));
    const { chunks } = readEvents(await pair.ask(WITH_USAGE));
    assert.ok(chunks.every(({ usage }) => usage == null));
    const { tokens, parts = [] } = await pair.line();
    assert.equal(tokens?.estimated, true);
    assert.equal(
      tokens?.output,
      parts.reduce((sum, { output }) => sum + output, 0),
    );
    assert.ok((tokens?.output ?? 0) >= 15);
  });

  it('takes only what was told where it breaks for good', async (t) => {
    const pair = await startPair(t);
    pair.upstreams[0].enqueue(brokenAfter(8), brokenAfter(12));
    pair.upstreams[1].enqueue(brokenAfter(12), brokenAfter(12));
    const { error, content } = readEvents(await pair.ask(WITH_USAGE));
    assert.equal(error?.code, 'stream_interrupted');
    assert.equal(content, TOKENS.slice(0, 12).join(''));
    const { tokens, parts = [], outcome } = await pair.line();
    assert.equal(outcome, 'broken_body');
    assert.equal(tokens?.estimated, true);
    assert.deepEqual(
      parts.map(({ target }) => target),
      ['a/up', 'b/up'],
    );
    assert.equal(
      tokens?.output,
      parts.reduce((sum, { output }) => sum + output, 0),
    );
  });

  it('is told once, though the host that goes on tells it with each piece', async (t) => {
    const pair = await startPair(t);
    pair.upstreams[0].enqueue(brokenAfter(8));
    const told = (chunk: object, tokens: number) => ({
      ...chunk,
      usage: { prompt_tokens: 9, completion_tokens: tokens },
    });
    const pieces = TOKENS.map((token, at) => told(delta({ content: token }), at + 1));
    pair.upstreams[1].enqueue(stream([ROLE, ...pieces, told(delta({}, 'stop'), 20)]));
    assert.equal(usageOf(await pair.ask(WITH_USAGE)).completion_tokens, 20);
  });

  it('tells a client that did not ask for it nothing of usage', async (t) => {
    const pair = await startPair(t);
    pair.upstreams[0].enqueue(brokenAfter(8));
    pair.upstreams[1].enqueue(whole());
    const { chunks } = readEvents(await pair.ask());
    assert.ok(chunks.every(({ usage, choices }) => usage == null && choices.length === 1));
  });

  it('is added up over three', async (t) => {
    const pair = await startPair(t, { targets: [{}, { prefill: true }, {}] });
    pair.upstreams[0].enqueue(brokenAfter(5));
    pair.upstreams[1].enqueue(chatStream({ content: [...TOKENS.slice(5, 12), close()] }));
    pair.upstreams[2].enqueue(whole());
    const usage = usageOf(await pair.ask(WITH_USAGE));
    assert.equal(usage.completion_tokens, 20);
    const { parts = [] } = await pair.line();
    assert.deepEqual(
      parts.map(({ target }) => target),
      ['a/up', 'b/up', 'c/up'],
    );
    assert.equal(
      parts.reduce((sum, { output }) => sum + output, 0),
      20,
    );
    assert.ok(parts.every(({ output }) => output > 2));
  });
});

describe('the quotas and the ledger', () => {
  it('are charged once for the answer, each target for its part', async (t) => {
    const pair = await startPair(t, {
      config: {
        auth: 'keys',
        tenants: [
          {
            id: 'acme',
            keys: [{ id: 'ci', key: 'sk-of-acme-000000000000' }],
            quotas: [{ of: 'tokens', per: 'day', limit: 1_000_000 }],
          },
        ],
      },
    });
    pair.upstreams[0].enqueue(brokenAfter(8));
    pair.upstreams[1].enqueue(whole());
    const headers = { authorization: 'Bearer sk-of-acme-000000000000' };
    const answer = await pair.gateway.chat({ stream: true, ...WITH_USAGE }, headers);
    const usage = usageOf(await answer.text());
    await pair.line();
    const told = await fetch(`${pair.gateway.url}/usage`, { headers });
    const { quotas } = (await told.json()) as { quotas: { used: number; reserved: number }[] };
    assert.equal(quotas[0]?.used, usage.total_tokens);
    assert.equal(quotas[0]?.reserved, 0);
    const { parts = [] } = await pair.line();
    const book = await fetch(`${pair.gateway.admin}/admin/usage?by=target`);
    const { rows } = (await book.json()) as { rows: Record<string, string | number>[] };
    assert.deepEqual(
      rows.map(({ target, requests, tries, input_tokens: input, output_tokens: output, cost_usd: paid }) => ({
        target,
        requests,
        tries,
        input,
        output,
        paid,
      })),
      [
        {
          target: 'a/up',
          requests: 1,
          tries: 1,
          input: 9,
          output: parts[0]?.output,
          paid: parts[0]?.cost_usd,
        },
        {
          target: 'b/up',
          requests: 0,
          tries: 1,
          input: 0,
          output: parts[1]?.output,
          paid: parts[1]?.cost_usd,
        },
      ],
    );
  });
});

function chunkOf(event: object): string {
  const data = `data: ${JSON.stringify(event)}\n\n`;
  return `${Buffer.byteLength(data).toString(16)}\r\n${data}\r\n`;
}
