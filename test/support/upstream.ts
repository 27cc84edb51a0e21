/**
 * A stand-in for a provider, on raw sockets, so that tests can make it misbehave in any way that a network can.
 * Nothing here sleeps: an answer pauses on promises that the test holds (see Gate) and goes on when they resolve.
 *
 *   const upstream = await startUpstream();
 *   upstream.enqueue(apiError(503), chatStream({ content: ['Hel', 'lo', reset()] }));
 *   ... afterwards every request gets a good answer, streamed if it asked for that
 *   const request = await upstream.nextRequest();
 *   await upstream.close();
 */
import { once } from 'node:events';
import { STATUS_CODES } from 'node:http';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import {
  brotliCompressSync,
  constants,
  createBrotliCompress,
  createDeflate,
  createGzip,
  createZstdCompress,
  deflateSync,
  gzipSync,
  zstdCompressSync,
} from 'node:zlib';
import type { JsonObject } from '../../src/core/json.ts';

// ---------------------------------------------------------------------------------------------- what tests see

export interface UpstreamRequest {
  readonly method: string;
  /** With the query string. */
  readonly path: string;
  /** Names in lower case; a header that came more than once is joined with ', '. */
  readonly headers: Readonly<Record<string, string>>;
  /** As they came: names in their own case, doubles kept. */
  readonly rawHeaders: ReadonlyArray<readonly [name: string, value: string]>;
  readonly body: Buffer;
  /** The body parsed; throws if it is not JSON. */
  json<T = JsonObject>(): T;
  /** `performance.now()` when the last byte of the request had come. */
  readonly receivedAt: number;
  /** Which connection it came on: 1 is the first one that was accepted. */
  readonly connection: number;
  /** Resolves when the connection is gone, whoever ended it. */
  readonly closed: Promise<void>;
  /** Resolves when the script has nothing left to do, or can do no more. */
  readonly answered: Promise<void>;
  /** True if the peer went away before the answer was over. */
  readonly aborted: boolean;
}

/** One step of an answer: it writes, waits, or ends the connection. */
export type Step = (exchange: Exchange) => void | Promise<void>;
/** Steps, in order. When they are done the connection stays open for the next request, unless a step ended it. */
export type Script = Step | readonly Script[];

/** What a step has to work with. After the connection is gone, `write` and `end` throw a ConnectionOver. */
export interface Exchange {
  readonly request: UpstreamRequest;
  /** Resolves when the bytes have been handed to the kernel. */
  write(bytes: Uint8Array | string): Promise<void>;
  /** Resolves when the connection is gone. */
  readonly gone: Promise<void>;
  end(how: 'fin' | 'reset'): Promise<never>;
}

export interface Upstream {
  /** For a provider's `base_url`: `http://127.0.0.1:PORT/v1`. */
  readonly url: string;
  readonly port: number;
  /** Every request whose body has come whole, oldest first. */
  readonly requests: readonly UpstreamRequest[];
  readonly openSockets: number;
  /** Connections accepted so far. */
  readonly connections: number;
  /** Requests whose answers are not over. */
  readonly inFlight: number;
  /** How requests are answered when nothing is enqueued. */
  reply(how: (request: UpstreamRequest) => Script): void;
  /** The next answers, in order, one for each request; they come before what `reply` says. */
  enqueue(...scripts: Script[]): void;
  /** The oldest request that this has not returned yet, waiting for it if need be. */
  nextRequest(): Promise<UpstreamRequest>;
  /** Resolves when `count` requests have come since the start. */
  waitFor(count: number): Promise<readonly UpstreamRequest[]>;
  /** Ends every open connection at once, used or idle. */
  dropConnections(how: 'fin' | 'reset'): void;
  /** Ends everything. Rejects with the first error that was thrown in a script, so that none goes unseen. */
  close(): Promise<void>;
}

// ------------------------------------------------------------------------------------------------------- gates

/** A place where answers wait until the test lets them on. */
export class Gate {
  #permits = 0;
  #arrivals = 0;
  readonly #waiting: (() => void)[] = [];
  readonly #watchers: { count: number; resolve: () => void }[] = [];

  /** Lets everything through, now and from now on. */
  open(): void {
    this.step(Number.POSITIVE_INFINITY);
  }

  /** Lets the next `count` arrivals through: a trickle under the test's control. */
  step(count = 1): void {
    this.#permits += count;
    while (this.#permits > 0 && this.#waiting.length > 0) {
      this.#permits--;
      this.#waiting.shift()?.();
    }
  }

  /** Resolves when this arrival is let through. */
  passed(): Promise<void> {
    this.#arrivals++;
    for (const watcher of this.#watchers) if (this.#arrivals >= watcher.count) watcher.resolve();
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.step(0);
    });
  }

  /** Resolves when `count` arrivals have been seen, let through or not. */
  reached(count = 1): Promise<void> {
    return new Promise((resolve) => {
      if (this.#arrivals >= count) resolve();
      else this.#watchers.push({ count, resolve });
    });
  }
}

// ------------------------------------------------------------------------------------------------------- steps

/** The connection has ended: no further step of the script runs. */
export class ConnectionOver extends Error {
  constructor() {
    super('the connection is over');
    this.name = 'ConnectionOver';
  }
}

export function script(...steps: Script[]): Script {
  return steps;
}

/** These bytes as they are, with no framing. */
export function write(bytes: Uint8Array | string): Step {
  return (exchange) => exchange.write(bytes);
}

/**
 * Lets the event loop turn, so that a reader in this process reads what was written before apart from what is
 * written after. Two turns: the first may already be past the point where it looks for what can be read.
 */
export const flush: Step = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

/** Waits at a gate or for a promise; a peer that leaves meanwhile ends the script. */
export function pauseUntil(what: Gate | Promise<unknown>): Step {
  return async (exchange) => {
    let left = false;
    const leaves = exchange.gone.then(() => {
      left = true;
    });
    await Promise.race([what instanceof Gate ? what.passed() : what, leaves]);
    if (left) throw new ConnectionOver();
  };
}

/** Says nothing more and keeps the connection open, until the peer leaves. */
export function silence(): Step {
  return pauseUntil(new Gate());
}

/** Ends the connection with RST. What was written before has been delivered on loopback, though a client may report the reset first. */
export function reset(): Step {
  return (exchange) => exchange.end('reset');
}

/** Ends the connection with FIN. */
export function close(): Step {
  return (exchange) => exchange.end('fin');
}

/**
 * The bytes of a script, or these bytes, cut into pieces that are written some turns of the event loop apart: a
 * reader in this process gets each in a read of its own. `every: Infinity` writes all at once. A script's own
 * pauses happen before the first piece, and how it ended the connection is dropped: add `close()` after this.
 */
export function inPieces(
  what: Uint8Array | string | Script,
  cut: { every: number } | { at: readonly number[] },
): Step {
  return async (exchange) => {
    const bytes = isBytes(what) ? Buffer.from(what as Uint8Array) : await bytesOf(what, exchange.request);
    for (const piece of pieces(bytes, cut)) {
      await exchange.write(piece);
      await flush(exchange);
    }
  };
}

function isBytes(what: Uint8Array | string | Script): what is Uint8Array | string {
  return typeof what === 'string' || what instanceof Uint8Array;
}

function pieces(bytes: Buffer, cut: { every: number } | { at: readonly number[] }): Buffer[] {
  const found: Buffer[] = [];
  if ('every' in cut) {
    for (let from = 0; from < bytes.length; from += cut.every)
      found.push(bytes.subarray(from, from + cut.every));
  } else {
    const ends = [...cut.at.filter((at) => at < bytes.length).sort((a, b) => a - b), bytes.length];
    let from = 0;
    for (const end of ends) {
      if (end > from) found.push(bytes.subarray(from, end));
      from = end;
    }
  }
  return found;
}

/** What a script would put on the wire. */
export async function bytesOf(what: Script, request: UpstreamRequest = NO_REQUEST): Promise<Buffer> {
  const written: Buffer[] = [];
  await run(what, {
    request,
    gone: new Promise(() => {}),
    write: async (bytes) => {
      written.push(Buffer.from(bytes as Uint8Array));
    },
    end: () => Promise.reject(new ConnectionOver()),
  });
  return Buffer.concat(written);
}

async function run(what: Script, exchange: Exchange): Promise<void> {
  try {
    await runSteps(what, exchange);
  } catch (error) {
    if (!(error instanceof ConnectionOver)) throw error;
  }
}

async function runSteps(what: Script, exchange: Exchange): Promise<void> {
  if (typeof what === 'function') await what(exchange);
  else for (const step of what) await runSteps(step, exchange);
}

// ---------------------------------------------------------------------------------------------- HTTP answers

export type Headers = Readonly<Record<string, string | readonly string[]>>;
export type Encoding = 'gzip' | 'br' | 'deflate' | 'zstd';

/** A status line and headers, and nothing else: the caller says how long the body is. */
export function head(status: number, headers: Headers = {}): Step {
  const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Unknown'}`];
  for (const [name, value] of Object.entries(headers)) {
    for (const one of typeof value === 'string' ? [value] : value) lines.push(`${name}: ${one}`);
  }
  return write(`${lines.join('\r\n')}\r\n\r\n`);
}

export interface PlainAnswer {
  /** 200 unless said. */
  status?: number;
  /** Added to `content-type`, `content-length` and `content-encoding`, or in their place. */
  headers?: Headers;
  json?: unknown;
  text?: string;
  bytes?: Uint8Array;
  encoding?: Encoding;
  /** A length to announce instead of the true one. */
  contentLength?: number;
}

/** An answer with a `content-length`. */
export function plain(answer: PlainAnswer): Script {
  const { status = 200, json, text, encoding } = answer;
  const body = answer.bytes ?? Buffer.from(json === undefined ? (text ?? '') : JSON.stringify(json));
  const type =
    json !== undefined ? 'application/json' : text !== undefined ? 'text/plain; charset=utf-8' : null;
  const sent = encoding === undefined ? body : COMPRESS[encoding](body);
  return [
    head(status, {
      ...(type === null ? {} : { 'content-type': type }),
      ...(encoding === undefined ? {} : { 'content-encoding': encoding }),
      'content-length': String(answer.contentLength ?? sent.length),
      ...answer.headers,
    }),
    write(sent),
  ];
}

/** An error in OpenAI's shape. */
export function apiError(
  status: number,
  error: { message?: string; type?: string; param?: string | null; code?: string | null } = {},
  headers: Headers = {},
): Script {
  const body = {
    message: `upstream says ${status}`,
    type: 'server_error',
    param: null,
    code: null,
    ...error,
  };
  return plain({ status, json: { error: body }, headers });
}

/** A page such as a proxy in between puts in place of the answer. */
export function htmlPage(status: number): Script {
  return plain({
    status,
    text: `<!doctype html><html><body><h1>${status} ${STATUS_CODES[status] ?? ''}</h1></body></html>`,
    headers: { 'content-type': 'text/html' },
  });
}

const COMPRESS: Readonly<Record<Encoding, (body: Uint8Array) => Buffer>> = {
  gzip: gzipSync,
  br: brotliCompressSync,
  deflate: deflateSync,
  zstd: zstdCompressSync,
};

// ------------------------------------------------------------------------------------------------------ streams

/**
 * One item of a stream. An object is an event with that JSON as its data. A string is the lines of an event, as
 * they are (`': ping'`, `'data: {"cut'`, `'event: ping\ndata: {}'`), to which the empty line is added. Bytes are
 * sent with nothing added. A step runs between the events.
 */
export type StreamItem = object | string | Uint8Array | Step;

export interface StreamOptions {
  /** Ends with `data: [DONE]`. True unless said. */
  done?: boolean;
  lineEnd?: '\n' | '\r\n' | '\r';
  /** 200 unless said. */
  status?: number;
  headers?: Headers;
  encoding?: Encoding;
  /** `close`: no chunked encoding, the body ends with the connection. */
  framing?: 'chunked' | 'close';
}

/**
 * An event stream, each event a chunk and a write of its own. A step among the events that ends the connection
 * leaves the body unfinished: `stream([event, close()])` lacks its last chunk.
 */
export function stream(items: readonly StreamItem[], options: StreamOptions = {}): Script {
  return async (exchange) => {
    const { done = true, lineEnd = '\n', status = 200, encoding, framing = 'chunked' } = options;
    const compress = encoding === undefined ? undefined : compressor(encoding);
    await runSteps(
      head(status, {
        'content-type': 'text/event-stream',
        'cache-control': 'no-cache',
        ...(framing === 'chunked' ? { 'transfer-encoding': 'chunked' } : { connection: 'close' }),
        ...(encoding === undefined ? {} : { 'content-encoding': encoding }),
        ...options.headers,
      }),
      exchange,
    );
    const send = async (bytes: Uint8Array) => {
      if (bytes.length === 0) return;
      await exchange.write(framing === 'chunked' ? chunk(bytes) : bytes);
      await flush(exchange);
    };
    for (const item of done ? [...items, 'data: [DONE]'] : items) {
      if (typeof item === 'function') {
        await item(exchange);
        continue;
      }
      const bytes = item instanceof Uint8Array ? item : eventBytes(item, lineEnd);
      await send(compress === undefined ? bytes : await compress.add(bytes));
    }
    if (compress !== undefined) await send(await compress.end());
    await (framing === 'chunked' ? exchange.write('0\r\n\r\n') : exchange.end('fin'));
  };
}

/** Bytes as one chunk of a chunked body. */
export function chunk(bytes: Uint8Array | string): Buffer {
  const data = Buffer.from(bytes as Uint8Array);
  return Buffer.concat([Buffer.from(`${data.length.toString(16)}\r\n`), data, Buffer.from('\r\n')]);
}

/** An event with a name, as Anthropic sends them. */
export function named(event: string, data: object): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}`;
}

function eventBytes(item: object | string, lineEnd: string): Buffer {
  const lines = typeof item === 'string' ? item : `data: ${JSON.stringify(item)}`;
  return Buffer.from(`${lines.replaceAll('\n', lineEnd)}${lineEnd}${lineEnd}`);
}

/** Compresses piece by piece: what `add` gives can be unpacked without waiting for more. */
function compressor(encoding: Encoding) {
  const packer = {
    gzip: () => createGzip({ flush: constants.Z_SYNC_FLUSH }),
    deflate: () => createDeflate({ flush: constants.Z_SYNC_FLUSH }),
    br: () => createBrotliCompress({ flush: constants.BROTLI_OPERATION_FLUSH }),
    zstd: () => createZstdCompress({ flush: constants.ZSTD_e_flush }),
  }[encoding]();
  const packed = () => {
    const found: Buffer[] = [];
    for (let piece = packer.read(); piece !== null; piece = packer.read()) found.push(piece as Buffer);
    return Buffer.concat(found);
  };
  return {
    add: (bytes: Uint8Array) =>
      new Promise<Buffer>((resolve, reject) => {
        packer.write(bytes, (error) => (error ? reject(error) : resolve(packed())));
      }),
    end: () =>
      new Promise<Buffer>((resolve, reject) => {
        const found: Buffer[] = [];
        packer.on('data', (piece: Buffer) => found.push(piece));
        packer.once('end', () => resolve(Buffer.concat(found)));
        packer.once('error', reject);
        packer.end();
      }),
  };
}

// --------------------------------------------------------------------------------------------- chat completions

export interface ChatUsage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens?: number;
  prompt_tokens_details?: object;
  completion_tokens_details?: object;
}

export interface ToolCall {
  id?: string;
  name: string;
  /** JSON text; in a stream a list is sent fragment by fragment. */
  arguments: string | readonly string[];
}

const DEFAULT_USAGE: ChatUsage = { prompt_tokens: 9, completion_tokens: 12 };
const DEFAULT_ID = 'chatcmpl-upstream';
/** 2026-11-21T00:00:00Z */
const CREATED = 1_795_219_200;

function withTotal(usage: ChatUsage): ChatUsage {
  return { ...usage, total_tokens: usage.total_tokens ?? usage.prompt_tokens + usage.completion_tokens };
}

function modelOf(request: UpstreamRequest): string {
  try {
    const { model } = request.json();
    return typeof model === 'string' ? model : 'upstream-model';
  } catch {
    return 'upstream-model';
  }
}

export interface ChatAnswer {
  /** The model that was asked for, unless said. */
  model?: string;
  id?: string;
  /** 'Hello from upstream.', or null beside tool calls, unless said. */
  content?: string | null;
  toolCalls?: readonly ToolCall[];
  /** `stop`, or `tool_calls` if there are some, unless said. */
  finish?: string;
  /** Some usage unless said; null leaves it out. */
  usage?: ChatUsage | null;
  headers?: Headers;
  encoding?: Encoding;
}

/** A chat completion, not streamed. */
export function chatAnswer(answer: ChatAnswer = {}): Step {
  return (exchange) => {
    const { toolCalls = [], usage = DEFAULT_USAGE } = answer;
    const message = {
      role: 'assistant',
      content: answer.content ?? (toolCalls.length > 0 ? null : 'Hello from upstream.'),
      refusal: null,
      ...(toolCalls.length === 0
        ? {}
        : {
            tool_calls: toolCalls.map((call, index) => ({
              id: call.id ?? `call_${index}`,
              type: 'function',
              function: { name: call.name, arguments: [call.arguments].flat().join('') },
            })),
          }),
    };
    const json = {
      id: answer.id ?? DEFAULT_ID,
      object: 'chat.completion',
      created: CREATED,
      model: answer.model ?? modelOf(exchange.request),
      choices: [
        {
          index: 0,
          message,
          logprobs: null,
          finish_reason: answer.finish ?? (toolCalls.length > 0 ? 'tool_calls' : 'stop'),
        },
      ],
      ...(usage === null ? {} : { usage: withTotal(usage) }),
    };
    const { headers = {}, encoding } = answer;
    return runSteps(plain({ json, headers, ...(encoding === undefined ? {} : { encoding }) }), exchange);
  };
}

export interface ChatStream extends StreamOptions {
  model?: string;
  id?: string;
  /** One event for each string; steps run in between, so an error or a pause goes where it should happen. */
  content?: readonly (string | Step)[];
  reasoning?: readonly string[];
  toolCalls?: readonly ToolCall[];
  /** `stop`, or `tool_calls` if there are some, unless said; null sends none, which leaves the stream unfinished. */
  finish?: string | null;
  /** Sent as the last event. Unless said: some usage if the request asked for it. Null: never. */
  usage?: ChatUsage | null;
}

/** A chat completion, streamed. */
export function chatStream(answer: ChatStream = {}): Step {
  return (exchange) => runSteps(stream(chatEvents(answer, exchange.request), answer), exchange);
}

/** The events of a chat stream without `[DONE]`, for tests that rearrange them. */
export function chatEvents(answer: ChatStream = {}, request: UpstreamRequest = NO_REQUEST): StreamItem[] {
  const { toolCalls = [], reasoning = [] } = answer;
  const content = answer.content ?? (toolCalls.length > 0 ? [] : ['Hello', ' from', ' upstream.']);
  const usage = answer.usage === undefined ? (asksForUsage(request) ? DEFAULT_USAGE : null) : answer.usage;
  const common = {
    id: answer.id ?? DEFAULT_ID,
    object: 'chat.completion.chunk',
    created: CREATED,
    model: answer.model ?? modelOf(request),
  };
  const event = (delta: object, finish: string | null = null) => ({
    ...common,
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
    ...(usage === null ? {} : { usage: null }),
  });

  const events: StreamItem[] = [event({ role: 'assistant', content: '' })];
  for (const text of reasoning) events.push(event({ reasoning_content: text }));
  for (const text of content) events.push(typeof text === 'string' ? event({ content: text }) : text);
  for (const [index, call] of toolCalls.entries()) {
    const start = { index, id: call.id ?? `call_${index}`, type: 'function' };
    events.push(event({ tool_calls: [{ ...start, function: { name: call.name, arguments: '' } }] }));
    for (const text of [call.arguments].flat()) {
      events.push(event({ tool_calls: [{ index, function: { arguments: text } }] }));
    }
  }
  const finish = answer.finish === undefined ? (toolCalls.length > 0 ? 'tool_calls' : 'stop') : answer.finish;
  if (finish !== null) events.push(event({}, finish));
  if (usage !== null) events.push({ ...common, choices: [], usage: withTotal(usage) });
  return events;
}

function asksForUsage(request: UpstreamRequest): boolean {
  try {
    const { stream_options: options } = request.json<{ stream_options?: { include_usage?: boolean } }>();
    return options?.include_usage === true;
  } catch {
    return false;
  }
}

/** A good answer, streamed if the request asks for it. */
function goodAnswer(request: UpstreamRequest): Script {
  try {
    return request.json()['stream'] === true ? chatStream() : chatAnswer();
  } catch {
    return chatAnswer();
  }
}

// --------------------------------------------------------------------------------------------------- the server

export interface UpstreamOptions {
  /** Speak TLS with this key and certificate, in PEM. */
  tls?: { key: string; cert: string };
}

export async function startUpstream(options: UpstreamOptions = {}): Promise<Upstream> {
  const requests: UpstreamRequest[] = [];
  const queue: Script[] = [];
  const open = new Set<Connection>();
  const waiting: { count: number; resolve: () => void }[] = [];
  const failures: unknown[] = [];
  let how: (request: UpstreamRequest) => Script = goodAnswer;
  let handedOut = 0;
  let accepted = 0;
  let inFlight = 0;

  async function serve(connection: Connection, request: UpstreamRequest): Promise<void> {
    requests.push(request);
    for (const waiter of waiting) if (requests.length >= waiter.count) waiter.resolve();
    inFlight++;
    try {
      await run(queue.shift() ?? how(request), connection.exchange(request));
    } catch (error) {
      failures.push(error);
      connection.finish('reset');
    } finally {
      inFlight--;
    }
  }

  const server = createServer((raw) => {
    const socket =
      options.tls === undefined
        ? raw
        : new TLSSocket(raw, { isServer: true, ...options.tls, ALPNProtocols: ['http/1.1'] });
    const connection = new Connection(++accepted, raw, socket, serve);
    open.add(connection);
    raw.once('close', () => open.delete(connection));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  async function waitFor(count: number): Promise<readonly UpstreamRequest[]> {
    if (requests.length < count) await new Promise<void>((resolve) => waiting.push({ count, resolve }));
    return requests;
  }

  return {
    url: `${options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}/v1`,
    port,
    requests,
    get openSockets() {
      return open.size;
    },
    get connections() {
      return accepted;
    },
    get inFlight() {
      return inFlight;
    },
    reply(answer) {
      how = answer;
    },
    enqueue(...scripts) {
      queue.push(...scripts);
    },
    async nextRequest() {
      const index = handedOut++;
      return (await waitFor(index + 1))[index] as UpstreamRequest;
    },
    waitFor,
    dropConnections(ending) {
      for (const connection of open) connection.finish(ending);
    },
    async close() {
      const closed = once(server, 'close');
      server.close();
      for (const connection of open) connection.finish('reset');
      await closed;
      open.clear();
      if (failures.length > 0) throw failures[0];
    },
  };
}

/** One connection: reads requests one after the other and has each answered before the next is looked at. */
class Connection {
  readonly #id: number;
  readonly #raw: Socket;
  readonly #socket: Socket;
  readonly #serve: (connection: Connection, request: UpstreamRequest) => Promise<void>;
  readonly #gone: Promise<void>;
  #received: Buffer = Buffer.alloc(0);
  /** Who ended it. */
  #endedBy: 'peer' | 'us' | null = null;
  #current: { aborted: boolean } | null = null;

  constructor(
    id: number,
    raw: Socket,
    socket: Socket,
    serve: (connection: Connection, request: UpstreamRequest) => Promise<void>,
  ) {
    this.#id = id;
    this.#raw = raw;
    this.#socket = socket;
    this.#serve = serve;
    this.#gone = new Promise((resolve) => {
      const ended = () => {
        if (this.#endedBy === null && this.#current !== null) this.#current.aborted = true;
        this.#endedBy ??= 'peer';
        resolve();
      };
      socket.on('error', ended).on('end', ended).on('close', ended);
      if (raw !== socket) raw.on('error', ended).on('close', ended);
    });
    raw.setNoDelay(true);
    socket.on('data', (bytes: Buffer) => {
      this.#received = Buffer.concat([this.#received, bytes]);
      void this.#readOn();
    });
  }

  exchange(request: UpstreamRequest): Exchange {
    return {
      request,
      gone: this.#gone,
      write: (bytes) =>
        new Promise((resolve, reject) => {
          if (this.#endedBy !== null) reject(new ConnectionOver());
          else
            this.#socket.write(bytes, (error) => {
              if (error) reject(new ConnectionOver());
              else resolve();
            });
        }),
      end: async (how) => {
        this.finish(how);
        throw new ConnectionOver();
      },
    };
  }

  finish(how: 'fin' | 'reset'): void {
    this.#endedBy ??= 'us';
    if (how === 'fin') this.#socket.destroySoon();
    // A socket whose own end is on its way cannot be reset: Node would never let go of it, and the process never end.
    else if (this.#raw.writableEnded) this.#raw.destroy();
    else if (!this.#raw.destroyed) this.#raw.resetAndDestroy();
  }

  async #readOn(): Promise<void> {
    if (this.#current !== null) return;
    for (let found = readRequest(this.#received); found !== null; found = readRequest(this.#received)) {
      this.#received = found.rest;
      await this.#answer(found);
      if (this.#endedBy !== null) return;
    }
  }

  async #answer(found: ParsedRequest): Promise<void> {
    let over: () => void = () => {};
    const answered = new Promise<void>((resolve) => {
      over = resolve;
    });
    const request = {
      ...found.request,
      receivedAt: performance.now(),
      connection: this.#id,
      closed: this.#gone,
      answered,
      aborted: false,
      json: <T>() => JSON.parse(found.request.body.toString()) as T,
    };
    this.#current = request;
    await this.#serve(this, request);
    this.#current = null;
    if (this.#endedBy === null && found.request.headers['connection'] === 'close') this.finish('fin');
    over();
  }
}

// -------------------------------------------------------------------------------------------- reading requests

interface ParsedRequest {
  request: Pick<UpstreamRequest, 'method' | 'path' | 'headers' | 'rawHeaders' | 'body'>;
  rest: Buffer;
}

/** The first request in these bytes, or null while it has not come whole. */
function readRequest(bytes: Buffer): ParsedRequest | null {
  const headEnd = bytes.indexOf('\r\n\r\n');
  if (headEnd === -1) return null;
  const [first = '', ...lines] = bytes.toString('latin1', 0, headEnd).split('\r\n');
  const [method = '', path = ''] = first.split(' ');
  const rawHeaders = lines.map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).trim()] as const;
  });
  const headers: Record<string, string> = {};
  for (const [name, value] of rawHeaders) {
    const key = name.toLowerCase();
    headers[key] = key in headers ? `${headers[key]}, ${value}` : value;
  }
  const after = bytes.subarray(headEnd + 4);
  const found =
    headers['transfer-encoding']?.toLowerCase() === 'chunked'
      ? readChunks(after)
      : readLength(after, Number(headers['content-length'] ?? 0));
  return found && { request: { method, path, headers, rawHeaders, body: found.body }, rest: found.rest };
}

interface Body {
  body: Buffer;
  rest: Buffer;
}

function readLength(bytes: Buffer, length: number): Body | null {
  if (bytes.length < length) return null;
  return { body: bytes.subarray(0, length), rest: bytes.subarray(length) };
}

function readChunks(bytes: Buffer): Body | null {
  const parts: Buffer[] = [];
  let at = 0;
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd === -1) return null;
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16);
    const from = lineEnd + 2;
    // The line end after the data, or after the last chunk (we know no client that sends trailers).
    if (bytes.length < from + size + 2) return null;
    if (size === 0) return { body: Buffer.concat(parts), rest: bytes.subarray(from + 2) };
    parts.push(bytes.subarray(from, from + size));
    at = from + size + 2;
  }
}

/** Stands in where a script is rendered for no request in particular. */
const NO_REQUEST: UpstreamRequest = {
  method: 'POST',
  path: '/v1/chat/completions',
  headers: {},
  rawHeaders: [],
  body: Buffer.from('{}'),
  json: <T>() => ({}) as T,
  receivedAt: 0,
  connection: 0,
  closed: Promise.resolve(),
  answered: Promise.resolve(),
  aborted: false,
};

// ------------------------------------------------------------------------------------------------ refused ports

/**
 * A port on 127.0.0.1 that refuses connections and that nobody else is given while this process lives: it is the
 * near end of a connection that stays open.
 */
export async function refusedPort(): Promise<number> {
  const server = createServer((socket) => socket.unref());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  server.unref();
  const holder = connect((server.address() as AddressInfo).port, '127.0.0.1');
  await once(holder, 'connect');
  holder.unref();
  return holder.localPort as number;
}
