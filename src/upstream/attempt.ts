import type { Transform } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { Cancellation, CancelListener, CancelReason } from '../core/cancellation.ts';
import type { Clock, Timer } from '../core/clock.ts';
import type { JsonObject } from '../core/json.ts';
import type { Failure } from '../core/outcome.ts';
import type { Redact } from '../core/redact.ts';
import { readFailure } from '../providers/openai/failure.ts';
import { headerText, type WireHeaders } from '../providers/retry-after.ts';
import type { TimeoutSettings } from '../resilience/settings.ts';
import { ChatStream } from './chat-stream.ts';
import { contentCoding, MAX_ANSWER, unpack, unpackStream } from './decompress.ts';
import { readPlainAnswer } from './plain-answer.ts';
import { plainFailure, transportFailure } from './transport-failure.ts';

/** One HTTP request to one upstream. */
export interface AttemptRequest {
  dispatcher: Dispatcher;
  origin: string;
  path: string;
  /** Name, value, name, value … */
  headers: string[];
  body: readonly Buffer[];
  streaming: { choices: number; wantsUsage: boolean } | null;
  timeouts: TimeoutSettings;
  /** On the clock's monotonic time: when the whole request is over. */
  deadline: number;
  clock: Clock;
  cancellation: Cancellation;
  redact: Redact;
  /** An event of the stream was dropped because it made no sense. */
  dropped(): void;
  /** A streamed answer that had begun is over: complete (null) or broken. Called once, before the reader hears of it. */
  streamOver(failure: Failure | null): void;
}

export type AttemptEnd =
  | { kind: 'plain'; body: Buffer; value: JsonObject }
  /** Its first content has come; `flow` starts the rest. */
  | { kind: 'stream'; stream: ChatStream }
  | { kind: 'failed'; failure: Failure };

/** Of an error's body, as much as anyone needs to read. Bytes. */
const MAX_ERROR_BODY = 1024 * 1024;

/** After every choice has finished: how long to wait for usage, and for the body's end. Milliseconds. */
const LAST_WORDS = 1000;

class AttemptOver extends Error {}

/** Tells undici to let go; nobody sees it. One for all: a stack trace each would cost more than the try's own work. */
const OVER = new AttemptOver('the try is over');

/** Sends the request and resolves when it has an answer, the first content of one, or a failure. Never rejects. */
export function attempt(request: AttemptRequest): Promise<AttemptEnd> {
  return new Promise((resolve) => new Attempt(request, resolve).start());
}

/**
 * A try as undici's handler: callbacks instead of promises and streams, one timer for all the bounds. `#state` only moves
 * down this list.
 */
type State =
  | 'sent' // no headers yet
  | 'collecting' // a plain answer, or an error's body
  | 'holding' // a stream before its first content
  | 'flowing' // a stream that has begun
  | 'draining' // the client has all; the body's end is awaited so that the socket can be used again
  | 'over';

class Attempt implements Dispatcher.DispatchHandler, CancelListener {
  readonly #request: AttemptRequest;
  readonly #resolve: (end: AttemptEnd) => void;
  readonly #startedAt: number;
  #state: State = 'sent';
  #controller: Dispatcher.DispatchController | null = null;
  #timer: Timer | null = null;
  #timerAt = 0;
  #lastByteAt = 0;
  #paused = false;
  /** When the last choice finished; the wait for usage starts here. */
  #finishedAt: number | null = null;
  #status = 0;
  #headers: WireHeaders = {};
  #collected: Buffer[] = [];
  #collectedBytes = 0;
  #stream: ChatStream | null = null;
  #unpacker: Transform | null = null;

  constructor(request: AttemptRequest, resolve: (end: AttemptEnd) => void) {
    this.#request = request;
    this.#resolve = resolve;
    this.#startedAt = request.clock.now();
  }

  start(): void {
    const { dispatcher, origin, path, headers, body, cancellation } = this.#request;
    cancellation.add(this);
    if (this.#state === 'over') return;
    this.#arm();
    try {
      // undici sends an array of buffers one after the other, without a copy; its types do not say so.
      const sent = (body.length === 1 ? body[0] : body) as Buffer;
      dispatcher.dispatch({ origin, path, method: 'POST', headers, body: sent }, this);
    } catch (error) {
      // undici refuses a header or a path before anything is sent: the configuration's fault.
      this.#fail({ ...transportFailure(error, false, this.#request.redact), kind: 'target_misconfigured' });
    }
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#state === 'over') controller.abort(OVER);
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: WireHeaders): void {
    if (this.#state !== 'sent' || status < 200) return;
    this.#lastByteAt = this.#request.clock.now();
    this.#status = status;
    this.#headers = headers;
    const { streaming, redact } = this.#request;
    const type = headerText(headers, 'content-type') ?? '';
    if (status >= 300 || streaming === null || /\bjson\b|\bhtml\b/i.test(type)) {
      this.#state = 'collecting';
    } else {
      this.#state = 'holding';
      this.#stream = new ChatStream(streaming.choices, streaming.wantsUsage, this.#streamOwner(), redact);
      const coding = contentCoding(headers);
      if (coding === 'unknown') this.#fail(this.#unknownCoding());
      else if (coding !== null) this.#unpackWith(unpackStream(coding));
    }
    this.#arm();
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#lastByteAt = this.#request.clock.now();
    switch (this.#state) {
      case 'collecting':
        this.#collect(chunk);
        return;
      case 'holding':
      case 'flowing':
        if (this.#unpacker !== null) {
          if (!this.#unpacker.write(chunk)) this.#controller?.pause();
        } else this.#pushToStream(chunk);
    }
  }

  onResponseEnd(): void {
    switch (this.#state) {
      case 'collecting':
        void this.#collectedAll();
        return;
      case 'holding':
      case 'flowing':
        if (this.#unpacker !== null) this.#unpacker.end();
        else this.#stream?.bodyEnded();
        return;
      case 'draining':
        this.#end();
    }
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#state === 'over') return;
    // Of an error's body enough has come to know the status; of a finished stream, all that counts.
    if (this.#state === 'collecting' && this.#status >= 300) void this.#collectedAll();
    else if (this.#state === 'draining') this.#end();
    else if (this.#stream?.finished) this.#complete();
    else this.#fail(transportFailure(error, this.#state !== 'sent', this.#request.redact));
  }

  #collect(chunk: Buffer): void {
    this.#collected.push(chunk);
    this.#collectedBytes += chunk.length;
    if (this.#status >= 300) {
      if (this.#collectedBytes > MAX_ERROR_BODY) void this.#collectedAll();
    } else if (this.#collectedBytes > MAX_ANSWER) {
      this.#fail(plainFailure('broken_body', `the answer was larger than ${MAX_ANSWER} bytes`));
    }
  }

  /** The body of a plain answer or of an error is there, or as much of it as will come. */
  async #collectedAll(): Promise<void> {
    if (this.#state !== 'collecting') return;
    this.#end();
    const { redact, clock, streaming } = this.#request;
    const coding = contentCoding(this.#headers);
    let body = this.#collected.length === 1 ? (this.#collected[0] as Buffer) : Buffer.concat(this.#collected);
    this.#collected = [];
    if (coding !== null) {
      const unpacked = coding === 'unknown' ? null : await unpack(coding, body).catch(() => null);
      if (unpacked === null && this.#status < 300) {
        const failure =
          coding === 'unknown'
            ? this.#unknownCoding()
            : plainFailure('broken_body', `damaged ${coding} body`);
        return this.#resolve({ kind: 'failed', failure });
      }
      body = unpacked ?? Buffer.alloc(0);
    }
    if (this.#status >= 300) {
      const answer = {
        status: this.#status,
        headers: this.#headers,
        text: body.toString(),
        wallMs: clock.wall(),
      };
      return this.#resolve({ kind: 'failed', failure: readFailure(answer, redact) });
    }
    const answer = readPlainAnswer(body, redact);
    if ('failure' in answer) return this.#resolve({ kind: 'failed', failure: answer.failure });
    if (streaming !== null) {
      const failure = plainFailure('broken_body', 'asked for a stream, the upstream sent a plain answer');
      return this.#resolve({ kind: 'failed', failure });
    }
    this.#resolve({ kind: 'plain', body, value: answer.value });
  }

  #pushToStream(chunk: Buffer): void {
    const stream = this.#stream;
    if (stream === null) return;
    stream.push(chunk);
    if (this.#finishedAt === null && stream.finished && this.#state === 'flowing') {
      this.#finishedAt = this.#request.clock.now();
      this.#arm();
    }
  }

  #streamOwner() {
    return {
      begun: () => {
        this.#state = 'flowing';
        this.#pause();
        this.#resolve({ kind: 'stream', stream: this.#stream as ChatStream });
      },
      complete: () => this.#complete(),
      broken: (failure: Failure) => this.#fail(failure),
      dropped: () => this.#request.dropped(),
      pause: () => this.#pause(),
      resume: () => this.#resume(),
    };
  }

  #unpackWith(unpacker: Transform): void {
    this.#unpacker = unpacker;
    unpacker.on('data', (chunk: Buffer) => this.#pushToStream(chunk));
    unpacker.on('drain', () => {
      if (!this.#paused) this.#controller?.resume();
    });
    unpacker.on('end', () => this.#stream?.bodyEnded());
    unpacker.on('error', (error) => {
      this.#fail(plainFailure('broken_body', `damaged compressed body: ${error.message}`));
    });
  }

  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    if (this.#unpacker === null) this.#controller?.pause();
    else this.#unpacker.pause();
  }

  #resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    // The silence was the reader's, not the upstream's.
    this.#lastByteAt = this.#request.clock.now();
    this.#arm();
    if (this.#unpacker === null) this.#controller?.resume();
    else this.#unpacker.resume();
  }

  #unknownCoding(): Failure {
    return plainFailure(
      'broken_body',
      `cannot unpack content-encoding ${headerText(this.#headers, 'content-encoding')}`,
    );
  }

  /** When the next bound is reached, on the clock's time. */
  #nextDue(): number {
    const { timeouts, deadline } = this.#request;
    let at = Math.min(this.#startedAt + timeouts.attempt, deadline);
    if (this.#awaitsFirstToken()) at = Math.min(at, this.#startedAt + timeouts.firstToken);
    if (this.#state !== 'sent' && !this.#paused) at = Math.min(at, this.#lastByteAt + timeouts.idle);
    if (this.#finishedAt !== null) at = Math.min(at, this.#finishedAt + LAST_WORDS);
    return at;
  }

  #awaitsFirstToken(): boolean {
    return this.#request.streaming !== null && (this.#state === 'sent' || this.#state === 'holding');
  }

  /** The timer is not moved with every byte: it goes off at what was due when it was set, and then asks again. */
  #arm(): void {
    const at = this.#nextDue();
    if (this.#timer !== null && this.#timerAt <= at) return;
    this.#timer?.cancel();
    this.#timerAt = at;
    const wait = Math.max(0, at - this.#request.clock.now());
    this.#timer = this.#request.clock.schedule(wait, () => this.#onTimer());
  }

  #onTimer(): void {
    this.#timer = null;
    const { timeouts, deadline, clock } = this.#request;
    const now = clock.now();
    if (this.#finishedAt !== null && now >= this.#finishedAt + LAST_WORDS) {
      if (this.#state === 'draining') this.#end();
      else this.#complete();
    } else if (now >= deadline) {
      this.#timedOut(plainFailure('deadline', 'the time for the whole request was over'));
    } else if (this.#awaitsFirstToken() && now >= this.#startedAt + timeouts.firstToken) {
      this.#timedOut(plainFailure('timeout', `no first token within ${timeouts.firstToken} ms`));
    } else if (now >= this.#startedAt + timeouts.attempt) {
      this.#timedOut(plainFailure('timeout', `no whole answer within ${timeouts.attempt} ms`));
    } else if (this.#state !== 'sent' && !this.#paused && now >= this.#lastByteAt + timeouts.idle) {
      this.#timedOut(plainFailure('broken_body', `silent for ${timeouts.idle} ms`));
    } else this.#arm();
  }

  /** Of an error whose body does not end, the status and what came of the body are known. */
  #timedOut(failure: Failure): void {
    if (this.#state === 'collecting' && this.#status >= 300) void this.#collectedAll();
    else this.#fail(failure);
  }

  cancelled(reason: CancelReason): void {
    if (this.#state === 'draining') return;
    if (reason === 'client_gone') this.#fail(plainFailure('client_gone', 'the client went away'));
    else this.#fail(plainFailure('shutdown', 'the gateway is shutting down'));
  }

  /** The client has all of the stream. */
  #complete(): void {
    if (this.#state !== 'flowing') return;
    this.#state = 'draining';
    this.#finishedAt = this.#request.clock.now();
    this.#request.cancellation.remove(this);
    this.#arm();
    this.#request.streamOver(null);
    this.#stream?.finish(null);
    // A reader that was slow up to the end must not keep the body's end from us.
    this.#controller?.resume();
  }

  #fail(failure: Failure): void {
    if (this.#state === 'over' || this.#state === 'draining') return;
    const begun = this.#state === 'flowing';
    this.#end();
    if (begun) this.#request.streamOver(failure);
    else this.#resolve({ kind: 'failed', failure });
    this.#stream?.finish(failure);
  }

  /** Lets go of everything. Ends the socket if the body is not through. */
  #end(): void {
    this.#state = 'over';
    this.#timer?.cancel();
    this.#request.cancellation.remove(this);
    this.#unpacker?.destroy();
    this.#controller?.abort(OVER);
  }
}
