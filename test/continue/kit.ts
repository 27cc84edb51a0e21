/** A gateway that goes on where streams break, in front of stand-ins that break them. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type RequestLine, startGateway, type TestGateway } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { readEvents, StreamReader, until } from '../support/rig.ts';
import { chatStream, close, type Step, startUpstream, type Upstream } from '../support/upstream.ts';

/** An answer as a model writes it, a token at a time. */
export const TOKENS = [
  'It',
  ' was',
  ' a',
  ' dark',
  ' and',
  ' stormy',
  ' night',
  '; the',
  ' rain',
  ' fell',
  ' in',
  ' torrents,',
  ' except',
  ' at',
  ' occasional',
  ' intervals.',
  '\n\n',
  'Grüße',
  ' 🙂',
  ' end.',
];
export const WHOLE = TOKENS.join('');

export interface Pair {
  gateway: TestGateway;
  clock: ManualClock;
  /** In the order of the targets: `a/up`, `b/up`, `c/up`. */
  upstreams: readonly [Upstream, Upstream, Upstream];
  ask(body?: Record<string, unknown>): Promise<string>;
  stream(body?: Record<string, unknown>): Promise<StreamReader>;
  line(): Promise<RequestLine & { parts?: { target: string; output: number; cost_usd: number | null }[] }>;
  nothingLeft(): Promise<void>;
}

export interface PairOptions {
  /** Of all targets. */
  node?: object;
  /** Of each target. */
  targets?: readonly object[];
  server?: object;
  config?: object;
  clock?: ManualClock;
  adapter?: string;
}

/** What a token costs in nanodollars at each target: in, out. */
export const RATES = { 'a/up': [1000, 2000], 'b/up': [3000, 5000], 'c/up': [7000, 11_000] } as const;

export async function startPair(t: TestContext, options: PairOptions = {}): Promise<Pair> {
  const { clock = new ManualClock(1000), targets = [{}, {}], adapter = 'vllm' } = options;
  const folder = mkdtempSync(join(tmpdir(), 'spillway-continue-'));
  const prices = join(folder, 'prices.yaml');
  const rows = Object.entries(RATES).map(([name, [input, output]]) => ({
    models: ['up'],
    providers: [name.slice(0, 1)],
    in: input / 1000,
    out: output / 1000,
  }));
  writeFileSync(prices, JSON.stringify({ prices: rows }));
  const upstreams = [await startUpstream(), await startUpstream(), await startUpstream()] as const;
  const names = ['a', 'b', 'c'];
  const providers = Object.fromEntries(
    names.map((name, at) => [
      name,
      { adapter, base_url: (upstreams[at] as Upstream).url, api_key: `sk-of-${name}` },
    ]),
  );
  // Before all that may fail: a server that is left open keeps the process.
  t.after(async () => {
    for (const upstream of upstreams) await upstream.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const gateway = await startGateway(
    {
      server: { heartbeat: '0', ...options.server },
      providers,
      prices,
      models: {
        m: {
          strategy: { mode: 'fallback' },
          mid_stream: 'continue',
          retry: { attempts: 0 },
          breaker: { consecutive_failures: 10_000, min_requests: 10_000 },
          ...options.node,
          targets: targets.map((target, at) => ({ provider: names[at], model: 'up', ...target })),
        },
      },
      ...options.config,
    },
    { clock, chance: () => 0.5 },
  );
  t.after(() => gateway.close());
  const stream = async (body: Record<string, unknown> = {}) => {
    const response = await gateway.chat({ stream: true, ...body });
    assert.equal(response.status, 200, response.status === 200 ? '' : await response.text());
    return new StreamReader(response);
  };
  return {
    gateway,
    clock,
    upstreams,
    stream,
    ask: async (body) => (await stream(body)).rest(),
    async line() {
      const lines = await gateway.ended(1);
      assert.equal(lines.length, 1);
      return lines[0] as RequestLine;
    },
    async nothingLeft() {
      await until(() => clock.pending === 0 && upstreams.every(({ inFlight }) => inFlight === 0));
      for (const { in_flight } of await gateway.upstreams()) assert.equal(in_flight, 0);
    },
  };
}

/** So many tokens of the answer, and then this. */
export function brokenAfter(count: number, fault: Step = close(), more: object = {}): Step {
  return chatStream({
    content: [...TOKENS.slice(0, count), fault],
    id: 'chatcmpl-first',
    model: 'first',
    ...more,
  });
}

/** The whole answer, by another host. */
export function whole(more: object = {}): Step {
  return chatStream({
    content: TOKENS,
    id: 'chatcmpl-second',
    model: 'second',
    usage: { prompt_tokens: 9, completion_tokens: 20 },
    ...more,
  });
}

/** What follows the first so many tokens: of a host that was given these. */
export function restAfter(count: number, more: object = {}): Step {
  return chatStream({
    content: TOKENS.slice(count),
    id: 'chatcmpl-second',
    model: 'second',
    usage: { prompt_tokens: 9 + count, completion_tokens: 20 - count },
    ...more,
  });
}

/** Fails unless this is one whole answer, told as one. */
export function assertWhole(received: string, content = WHOLE): ReturnType<typeof readEvents> {
  const read = readEvents(received);
  assert.equal(read.error, null, read.error?.message);
  assert.equal(read.content, content);
  assert.equal(read.done, true);
  const heads = read.chunks.map(({ id, model }) => `${id} ${model}`);
  assert.equal(new Set(heads).size, 1, `one id and one model: ${[...new Set(heads)]}`);
  const choices = read.chunks.flatMap((chunk) => chunk.choices);
  assert.equal(choices.filter((choice) => choice.delta['role'] !== undefined).length, 1, 'one role');
  assert.equal(choices.filter((choice) => choice.finish_reason !== null).length, 1, 'one finish');
  assert.ok(choices.at(-1)?.finish_reason, 'nothing comes after the finish');
  return read;
}

/** Fails unless the client got that, then one error, and no end mark. */
export function assertInterrupted(received: string, content: string): void {
  const read = readEvents(received);
  assert.equal(read.content, content);
  assert.equal(read.error?.code, 'stream_interrupted');
  assert.equal(read.done, false);
}
