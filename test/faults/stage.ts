import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Timer } from '../../src/core/clock.ts';
import { type RequestLine, startGateway, type TestGateway } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { temporaryDirectory } from '../support/process.ts';
import {
  type ChatStream,
  chatAnswer,
  chatStream,
  type Script,
  type Step,
  startUpstream,
  type Upstream,
  type UpstreamRequest,
} from '../support/upstream.ts';

/** Turns of the event loop without a movement after which nothing but time can bring anything on. */
const STILL = 120;

/** A clock that goes on to what is due next whenever nothing else moves. */
export class IdleClock extends ManualClock {
  readonly #due = new Set<number>();

  override schedule(ms: number, fn: () => void): Timer {
    const due = this.now() + Math.max(0, ms);
    this.#due.add(due);
    return super.schedule(ms, fn);
  }

  /** Moves to the next timer's time, but not beyond `end`. False: there is none before. */
  skip(end = Infinity): boolean {
    const next = [...this.#due].filter((due) => due > this.now()).sort((a, b) => a - b)[0];
    for (const due of this.#due) if (due <= this.now()) this.#due.delete(due);
    if (next === undefined || next > end) return false;
    this.advance(next - this.now());
    return true;
  }
}

/** The answer that every target of the stage gives when nothing is wrong: sixty tokens. */
export const TOKENS = Array.from({ length: 60 }, (_, index) => `word${index} `);
export const ANSWER = TOKENS.join('');

/** What each target reports, so that one can see whose usage it is. */
export const USAGE = {
  first: { prompt_tokens: 100, completion_tokens: 60 },
  second: { prompt_tokens: 200, completion_tokens: 60 },
};

/** US dollars per million tokens, of input and output. */
export const PRICES = { first: { in: 1, out: 3 }, second: { in: 5, out: 7 } };

/** What the whole answer of a target costs, in US dollars. */
export function costOf(which: 'first' | 'second'): number {
  const { prompt_tokens: input, completion_tokens: output } = USAGE[which];
  return (input * PRICES[which].in + output * PRICES[which].out) / 1e6;
}

function pricesFile(t: TestContext): string {
  const file = join(temporaryDirectory(t), 'prices.yaml');
  const prices = Object.entries(PRICES).map(([which, rates]) => ({ models: [`${which}-model`], ...rates }));
  writeFileSync(file, JSON.stringify({ prices }));
  return file;
}

export interface Seen {
  status: number;
  headers: Headers;
  /** What the client has of the answer's text. */
  text: string;
  finish: string | null;
  /** A stream ended with its end mark; an answer that is no stream came whole. */
  whole: boolean;
  error: { code: string | null; message: string } | null;
  model: string | null;
  usage: { prompt_tokens: number; completion_tokens: number } | null;
  ids: Set<string>;
  /** Milliseconds on the gateway's clock. */
  took: number;
}

export interface Stage {
  gateway: TestGateway;
  clock: IdleClock;
  first: Upstream;
  second: Upstream;
  /** One request, until it is answered, with time going on by itself. */
  ask(body?: object): Promise<Seen>;
  /** Lets time pass. */
  pass(ms: number): Promise<void>;
  line(): RequestLine;
}

/** A step that takes time on the stage's clock. */
export function after(clock: IdleClock, ms: number): Step {
  return (exchange) =>
    new Promise((resolve) => {
      const timer = clock.schedule(ms, resolve);
      void exchange.gone.then(() => {
        timer.cancel();
        resolve();
      });
    });
}

/** The good answer of a target, streamed or not as it was asked for. */
export function good(which: 'first' | 'second', request: UpstreamRequest, more: ChatStream = {}): Script {
  const usage = USAGE[which];
  if (request.json()['stream'] !== true)
    return chatAnswer({ content: ANSWER, usage, model: `${which}-model` });
  return chatStream({ content: TOKENS, usage, model: `${which}-model`, id: `chatcmpl-${which}`, ...more });
}

/** Two targets in a row, of which the first does what the test says. */
export async function startStage(
  t: TestContext,
  first: (request: UpstreamRequest, clock: IdleClock, count: number) => Script,
  {
    defaults = {},
    second = (request) => good('second', request),
    ...config
  }: { defaults?: object; second?: (request: UpstreamRequest) => Script; [key: string]: unknown } = {},
): Promise<Stage> {
  const clock = new IdleClock();
  const one = await startUpstream();
  const two = await startUpstream();
  let count = 0;
  one.reply((request) => first(request, clock, ++count));
  two.reply(second);
  const gateway = await startGateway(
    {
      providers: {
        first: { adapter: 'vllm', base_url: one.url },
        second: { adapter: 'vllm', base_url: two.url },
      },
      models: {
        m: {
          strategy: { mode: 'fallback' },
          targets: [
            { provider: 'first', model: 'first-model' },
            { provider: 'second', model: 'second-model' },
          ],
        },
      },
      defaults: { mid_stream: 'continue', ...defaults },
      prices: pricesFile(t),
      server: { heartbeat: '0' },
      ...config,
    },
    { clock, chance: () => 0.5 },
  );
  t.after(async () => {
    await gateway.close();
    await one.close();
    await two.close();
  });

  /** Bytes that clients have. */
  let received = 0;
  const heard = (count: number) => {
    received += count;
  };
  const moved = () =>
    [one, two]
      .map(({ requests, inFlight, openSockets }) => `${requests.length}/${inFlight}/${openSockets}`)
      .concat(`${gateway.requests.length}/${clock.pending}/${received}`)
      .join();
  async function quiet(over: () => boolean): Promise<void> {
    let before = '';
    for (let still = 0; still < STILL && !over(); still++) {
      for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
      const now = moved();
      if (now !== before) still = 0;
      before = now;
    }
  }
  async function play<T>(work: Promise<T>): Promise<T> {
    let over = false;
    const done = () => {
      over = true;
    };
    work.then(done, done);
    while (!over) {
      await quiet(() => over);
      if (!over) clock.skip();
    }
    return work;
  }

  return {
    gateway,
    clock,
    first: one,
    second: two,
    async ask(body = {}) {
      const from = clock.now();
      return await play(
        gateway
          .chat(body as Record<string, unknown>)
          .then((answer) => read(answer, () => clock.now() - from, heard)),
      );
    },
    async pass(ms) {
      const end = clock.now() + ms;
      do await quiet(() => false);
      while (clock.skip(end));
      clock.advance(end - clock.now());
    },
    line: () => gateway.requests.at(-1) as RequestLine,
  };
}

async function textOf(response: Response, bytes: (count: number) => void): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const piece of response.body as ReadableStream<Uint8Array>) {
    bytes(piece.length);
    text += decoder.decode(piece, { stream: true });
  }
  return text;
}

async function read(response: Response, took: () => number, bytes: (count: number) => void): Promise<Seen> {
  const { status, headers } = response;
  const text = await textOf(response, bytes);
  const seen: Seen = {
    status,
    headers,
    text: '',
    finish: null,
    whole: false,
    error: null,
    model: null,
    usage: null,
    ids: new Set(),
    took: took(),
  };
  if (!headers.get('content-type')?.includes('event-stream')) {
    const value = JSON.parse(text);
    seen.error = value.error ?? null;
    seen.whole = seen.error === null;
    seen.text = value.choices?.[0]?.message?.content ?? '';
    seen.finish = value.choices?.[0]?.finish_reason ?? null;
    seen.model = value.model ?? null;
    seen.usage = value.usage ?? null;
    return seen;
  }
  for (const event of text.split('\n\n')) {
    if (!event.startsWith('data: ')) continue;
    if (event === 'data: [DONE]') {
      seen.whole = true;
      continue;
    }
    const chunk = JSON.parse(event.slice('data: '.length));
    if (chunk.error) {
      seen.error = chunk.error;
      continue;
    }
    seen.ids.add(chunk.id);
    seen.model ??= chunk.model;
    seen.usage = chunk.usage ?? seen.usage;
    seen.text += chunk.choices[0]?.delta?.content ?? '';
    seen.finish = chunk.choices[0]?.finish_reason ?? seen.finish;
  }
  return seen;
}
