import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { Timer } from '../../src/core/clock.ts';
import { type RequestLine, startGateway, type TestGateway } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { type Script, startUpstream, type Upstream, type UpstreamRequest } from '../support/upstream.ts';

/** Jitter of nothing, whatever is drawn. */
export const middle = () => 0.5;

/** Where nothing else is said, waits between tries are shorter than this, and timeouts longer. Milliseconds. */
const LONGEST_SLEEP = 20_000;

/**
 * A clock on which waits between tries pass by themselves, as soon as the event loop turns, and are written down; timeouts only when the
 * test moves it. `isSleep` tells the two apart by their length.
 */
export class PacedClock extends ManualClock {
  /** How long each wait was meant to be, in the order in which they began. */
  readonly sleeps: number[] = [];
  readonly #isSleep: (ms: number) => boolean;

  constructor(isSleep = (ms: number) => ms <= LONGEST_SLEEP) {
    super();
    this.#isSleep = isSleep;
  }

  override schedule(ms: number, fn: () => void): Timer {
    if (!this.#isSleep(ms)) return super.schedule(ms, fn);
    this.sleeps.push(ms);
    const due = this.now() + ms;
    let cancelled = false;
    const timer = super.schedule(ms, fn);
    setImmediate(() => {
      if (!cancelled) this.advance(Math.max(0, due - this.now()));
    });
    return {
      cancel: () => {
        cancelled = true;
        timer.cancel();
      },
    };
  }
}

/** Lets everything that can happen without time passing happen: sockets on loopback, promises. */
export async function settle(turns = 20): Promise<void> {
  for (let i = 0; i < turns; i++) await new Promise(setImmediate);
}

/** Turns the event loop until it holds. The test's own timeout is the bound. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise(setImmediate);
}

export async function openUpstream(
  t: TestContext,
  reply?: (request: UpstreamRequest) => Script,
): Promise<Upstream> {
  const upstream = await startUpstream();
  t.after(() => upstream.close());
  if (reply !== undefined) upstream.reply(reply);
  return upstream;
}

export interface Config {
  providers: Record<string, object>;
  models: Record<string, object>;
  defaults?: object;
  [key: string]: unknown;
}

export interface Options {
  clock?: ManualClock;
  chance?: () => number;
}

/** A gateway that neither sends heartbeats nor leaves anything to chance. */
export async function openGateway(
  t: TestContext,
  config: Config,
  { clock = new PacedClock(), chance = middle }: Options = {},
): Promise<TestGateway> {
  const gateway = await startGateway({ server: { heartbeat: '0' }, ...config }, { clock, chance });
  t.after(() => gateway.close());
  return gateway;
}

/** A provider for a stand-in, with one key for itself or a pool. */
export function provider({ url }: { url: string }, ...keys: string[]): object {
  if (keys.length === 0) return { adapter: 'vllm', base_url: url };
  return {
    adapter: 'openai',
    base_url: url,
    ...(keys.length > 1 ? { api_keys: keys } : { api_key: keys[0] }),
  };
}

/** What a client sees of an answer. */
export interface Seen {
  status: number;
  headers: Headers;
  text: string;
  /** The answer's `error`; null if there is none. */
  error: { message: string; type: string; param: string | null; code: string | null } | null;
}

export async function read(response: Response | Promise<Response>): Promise<Seen> {
  const { status, headers, text } = await (async () => {
    const arrived = await response;
    return { status: arrived.status, headers: arrived.headers, text: await arrived.text() };
  })();
  let error: Seen['error'] = null;
  if (headers.get('content-type')?.includes('json')) {
    error = (JSON.parse(text) as { error?: Seen['error'] }).error ?? null;
  }
  return { status, headers, text, error };
}

export function ask(gateway: TestGateway, body: Record<string, unknown> = {}): Promise<Seen> {
  return read(gateway.chat(body));
}

/** The line of the request that was the `count`th to end. */
export async function lineOf(gateway: TestGateway, count: number): Promise<RequestLine> {
  const line = (await gateway.ended(count))[count - 1];
  assert.ok(line);
  return line;
}

/** The line of the only request that there was. */
export async function onlyLine(gateway: TestGateway): Promise<RequestLine> {
  const [line, ...more] = await gateway.ended(1);
  assert.ok(line);
  assert.equal(more.length, 0);
  return line;
}

/** `target outcome status` of each try. */
export function triesOf(line: RequestLine): string[] {
  return line.tries.map(({ target, outcome, status }) => `${target} ${outcome} ${status ?? '-'}`);
}

export async function attemptsMetric(
  gateway: TestGateway,
  providerId: string,
  outcome: string,
  model = 'm',
): Promise<number> {
  const series = `spillway_attempts_total{provider="${providerId}",model="${model}",outcome="${outcome}"}`;
  return (await gateway.metric(series)) ?? 0;
}

/** The bearer tokens that a stand-in was called with, in order. */
export function keysSeen(upstream: Upstream): string[] {
  return upstream.requests.map(({ headers }) => headers['authorization']?.replace('Bearer ', '') ?? '');
}

export async function rowOf(gateway: TestGateway, id: string) {
  const row = (await gateway.upstreams()).find((candidate) => candidate.id === id);
  assert.ok(row, `no upstream ${id}`);
  return row;
}
