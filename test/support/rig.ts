import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { type RequestLine, startGateway, type TestGateway } from './gateway.ts';
import { ManualClock } from './manual-clock.ts';
import { startUpstream, type Upstream } from './upstream.ts';

/** The key that the gateway of a rig has for its first upstream. */
export const PROVIDER_KEY = 'sk-Zq7Xw2Lm9Rt4Vb6Nc8';

export interface RigOptions {
  /** Settings of the model's node: `retry`, `timeouts`, `override_params` … There are no retries unless it says so. */
  node?: object;
  /** Settings under `server`. There are no heartbeats unless it says so. */
  server?: object;
  /** Settings of the first provider. */
  provider?: object;
  /** A second upstream, `second`, that takes over where the first one fails. */
  second?: boolean;
  /** The model's name upstream: `up` unless said. */
  model?: string;
  clock?: ManualClock;
}

/** A gateway whose model `m` is the target `a/up`, on a clock that the test moves, and the stand-in behind it. */
export interface Rig {
  upstream: Upstream;
  second: Upstream;
  gateway: TestGateway;
  clock: ManualClock;
  /** Asks for a stream and returns its reader; fails unless the answer has begun with status 200. */
  stream(body?: Record<string, unknown>): Promise<StreamReader>;
  /** The log line of the only request so far. */
  line(): Promise<RequestLine>;
  /** Fails unless nothing is left of any request: none under way, no timer, no socket in use. */
  nothingLeft(): Promise<void>;
}

export async function startRig(t: TestContext, options: RigOptions = {}): Promise<Rig> {
  const { clock = new ManualClock(1000) } = options;
  const upstream = await startUpstream();
  const second = await startUpstream();
  const target = { provider: 'a', model: options.model ?? 'up', retry: { attempts: 0 }, ...options.node };
  const gateway = await startGateway(
    {
      server: { heartbeat: '0', ...options.server },
      providers: {
        a: { adapter: 'openai', base_url: upstream.url, api_key: PROVIDER_KEY, ...options.provider },
        b: { adapter: 'openai', base_url: second.url, api_key: 'sk-the-second-key' },
      },
      models: {
        m:
          options.second === true
            ? { strategy: { mode: 'fallback' }, targets: [target, { provider: 'b', model: 'up' }] }
            : target,
      },
    },
    { clock, chance: () => 0.5 },
  );
  t.after(async () => {
    await gateway.close();
    await upstream.close();
    await second.close();
  });
  return {
    upstream,
    second,
    gateway,
    clock,
    async stream(body = {}) {
      const response = await gateway.chat({ stream: true, ...body });
      assert.equal(response.status, 200, response.status === 200 ? '' : await response.text());
      return new StreamReader(response);
    },
    async line() {
      const lines = await gateway.ended(1);
      assert.equal(lines.length, 1);
      return lines[0] as RequestLine;
    },
    async nothingLeft() {
      await until(() => clock.pending === 0 && upstream.inFlight === 0 && second.inFlight === 0);
      for (let asked = 0; (await gateway.metric('spillway_in_flight')) !== 0; asked++) {
        if (asked === 100) throw new Error('spillway_in_flight does not come to be 0');
      }
      for (const { in_flight } of await gateway.upstreams()) assert.equal(in_flight, 0);
      for (const line of (await gateway.metrics()).match(/^spillway_upstream_(connections|waiting)\{.*$/gm) ??
        [])
        assert.match(line, / 0$/);
      assert.equal(clock.pending, 0);
    },
  };
}

/** Lets the event loop turn, so that everything that is under way on loopback sockets gets on. */
export async function turns(count = 300): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise(setImmediate);
}

/** After so long, something that should happen is taken not to. Far more than any test needs, also where other threads are at work. Milliseconds. */
const LONGEST_WAIT = 20_000;

/** Turns the event loop until it holds. */
export async function until(holds: () => boolean): Promise<void> {
  const until = performance.now() + LONGEST_WAIT;
  while (!holds()) {
    if (performance.now() > until) throw new Error(`this never came to hold: ${holds}`);
    await new Promise(setImmediate);
  }
}

/**
 * Turns the event loop until a figure has stopped to change for so many turns: whoever moves it is stuck. More turns are needed where
 * other threads are at work, as those that pack and unpack are.
 */
export async function untilStill(figure: () => number, enough = 3000): Promise<number> {
  let before = Number.NaN;
  for (let still = 0; still < enough; ) {
    await new Promise(setImmediate);
    const now = figure();
    still = now === before ? still + 1 : 0;
    before = now;
  }
  return before;
}

/** Reads an event stream as it comes, piece by piece. */
export class StreamReader {
  readonly response: Response;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #decoder = new TextDecoder();
  text = '';
  #over = false;

  constructor(response: Response) {
    this.response = response;
    assert.ok(response.body);
    this.#reader = response.body.getReader();
  }

  /** Resolves when all that came so far contains this. Rejects if the stream ends first. */
  async until(expected: string): Promise<void> {
    while (!this.text.includes(expected)) {
      if (this.#over) throw new Error(`the stream ended without ${expected}: ${this.text}`);
      await this.#more();
    }
  }

  /** All of the stream, once it has ended. */
  async rest(): Promise<string> {
    while (!this.#over) await this.#more();
    return this.text;
  }

  leave(): Promise<void> {
    return this.#reader.cancel();
  }

  async #more(): Promise<void> {
    const { done, value } = await this.#reader.read();
    this.#over = done;
    this.text += this.#decoder.decode(value, { stream: !done });
  }
}

export interface Chunk {
  id: string;
  model: string;
  choices: {
    index: number;
    delta: Record<string, unknown>;
    finish_reason: string | null;
  }[];
  usage?: { prompt_tokens: number; completion_tokens: number } | null;
  error?: { message: string; type: string; param: string | null; code: string };
}

/** An event stream that a client received, taken apart. */
export interface Received {
  chunks: Chunk[];
  /** The `error` of the last event, if that is an error. */
  error: Chunk['error'] | null;
  /** Did it end with `[DONE]`? */
  done: boolean;
  comments: number;
  /** The texts of all deltas of choice 0. */
  content: string;
}

/**
 * Takes apart what a client received. Fails unless it is well-formed in the strictest sense: nothing but `data: ` with JSON on one line, and
 * comments, each with its blank line; nothing after an error or `[DONE]`.
 */
export function readEvents(text: string): Received {
  assert.ok(text === '' || text.endsWith('\n\n'), `unfinished event: ${JSON.stringify(text.slice(-100))}`);
  const received: Received = { chunks: [], error: null, done: false, comments: 0, content: '' };
  for (const block of text.split('\n\n').slice(0, -1)) {
    assert.ok(!received.done && received.error === null, `something follows the end: ${block}`);
    assert.ok(!/[\r\n]/.test(block), `more than one line: ${JSON.stringify(block)}`);
    if (block.startsWith(':')) {
      received.comments++;
      continue;
    }
    assert.ok(block.startsWith('data: '), `not a data line: ${block}`);
    const data = block.slice('data: '.length);
    if (data === '[DONE]') {
      received.done = true;
      continue;
    }
    const chunk = JSON.parse(data) as Chunk;
    if (chunk.error !== undefined) {
      received.error = chunk.error;
      continue;
    }
    received.chunks.push(chunk);
    for (const choice of chunk.choices) {
      if (choice.index === 0 && typeof choice.delta['content'] === 'string') {
        received.content += choice.delta['content'];
      }
    }
  }
  return received;
}

/** A chat request as it goes over the wire. */
export function chatRequest(body: object = {}, headers: Readonly<Record<string, string>> = {}): string {
  const text = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hello' }], ...body });
  const lines = Object.entries({ host: 'gateway', 'content-length': Buffer.byteLength(text), ...headers });
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  return `POST /v1/chat/completions HTTP/1.1\r\n${head}\r\n${text}`;
}

/** A chunk as hosts send them, with this delta. */
export function delta(content: object, finish: string | null = null, index = 0): object {
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    created: 1_795_219_200,
    model: 'up',
    choices: [{ index, delta: content, logprobs: null, finish_reason: finish }],
  };
}

export const ROLE = delta({ role: 'assistant', content: '' });
export const FINISH = delta({}, 'stop');

export function text(content: string, index = 0): object {
  return delta({ content }, null, index);
}

export function usage(prompt = 9, completion = 12): object {
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    created: 1_795_219_200,
    model: 'up',
    choices: [],
    usage: { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion },
  };
}

/** The series of the first upstream's streams that broke. */
export async function interruptions({ gateway }: Rig): Promise<number> {
  return (await gateway.metric('spillway_stream_interruptions_total{provider="a",model="up"}')) ?? 0;
}
