import type { Transform } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { CancelListener, CancelReason } from '../core/cancellation.ts';
import type { Failure } from '../core/outcome.ts';
import { ownParts } from '../core/own-bytes.ts';
import type { WireHeaders } from '../providers/retry-after.ts';
import { AnswerStream } from './answer-stream.ts';
import { BoundsTimer, OVER, type TimerOwner, whatIsOver } from './attempt-bounds.ts';
import type { AttemptCall, AttemptEnd, AttemptRequest, AttemptState } from './attempt-request.ts';
import { authorizeRest } from './authorize.ts';
import { CollectedAnswer } from './collected-answer.ts';
import { contentCoding, listenTo, MAX_ANSWER, unpackStream } from './decompress.ts';
import { dispatch } from './dispatch.ts';
import type { StreamOwner } from './stream-roles.ts';
import { goneFailure, plainFailure, transportFailure } from './transport-failure.ts';
import { endOf, readWholeAnswer, saysWhole, unknownCoding } from './whole-answer.ts';

/** After every choice has finished: how long to wait for usage, and for the body's end. Milliseconds. */
const LAST_WORDS = 1000;

/** Sends the request and resolves when it has an answer, the first content of one, or a failure. Never rejects. `call`: what is sent. */
export function attempt(
  request: AttemptRequest,
  call: AttemptCall = request,
  now = request.clock.now(),
): Promise<AttemptEnd> {
  return new Promise((resolve) => new Attempt(request, call, now, resolve).start());
}

/** Before its first byte no stream has fallen silent: what has said nothing yet is late, not stalled. */
const NO_BYTE = Number.POSITIVE_INFINITY;

type Resolve = (end: AttemptEnd) => void;

/** A try as undici's handler: callbacks instead of promises and streams, one timer for all the bounds. */
class Attempt implements Dispatcher.DispatchHandler, CancelListener, StreamOwner, TimerOwner {
  readonly #request: AttemptRequest;
  #call: AttemptCall;
  readonly #resolve: Resolve;
  readonly #timer: BoundsTimer;
  /** When it was sent, or began to wait for a free connection. */
  #startedAt: number;
  #state: AttemptState = 'queued';
  #controller: Dispatcher.DispatchController | null = null;
  /** When the time for this try is over, for what goes on with one; null = counted from its own start. */
  #attemptEndsAt: number | null = null;
  #lastByteAt = 0;
  #paused = false;
  /** When the last choice finished; the wait for usage starts here, and then the one for the body's end. */
  #finishedAt: number | null = null;
  /** undici has it, but no socket for it yet: it keeps a place there until it is told that nobody wants it. */
  #inLine = false;
  /** Nothing more will come from the socket, though the unpacker may still have some. */
  #bodyOver = false;
  /** How the body of a packed stream broke off: told when all that had come is unpacked. */
  #brokeOff: Failure | null = null;
  #collected: CollectedAnswer | null = null;
  #stream: AnswerStream | null = null;
  /** What is awaited now goes on with an answer of which a part has come. */
  #isRest = false;
  /** Content has come, though nothing that the client lacks. */
  #heard = false;
  #unpacker: Transform | null = null;

  constructor(request: AttemptRequest, call: AttemptCall, now: number, resolve: (end: AttemptEnd) => void) {
    this.#request = request;
    this.#call = call;
    this.#resolve = resolve;
    this.#timer = new BoundsTimer(request.clock, this);
    this.#startedAt = now;
  }

  start(): void {
    const { cancellation, streaming } = this.#request;
    cancellation.add(this);
    if (this.#state === 'over') return;
    this.#arm(this.#startedAt);
    // undici keeps it until the answer is over.
    this.#send(streaming === null ? this.#call.body : ownParts(this.#call.body));
  }

  #send(body: readonly Buffer[]): void {
    const { headers, redact } = this.#call;
    this.#inLine = true;
    try {
      dispatch(this.#request, headers, body, this);
    } catch (error) {
      this.#inLine = false;
      // A header or a path that cannot be sent is the configuration's fault.
      this.#fail({ ...transportFailure(error, false, redact), kind: 'target_misconfigured' });
    }
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    this.#inLine = false;
    if (this.#state === 'over') {
      controller.abort(OVER);
      this.#request.socketFree?.();
      return;
    }
    if (this.#isRest) return;
    this.#state = 'sent';
    this.#startedAt = this.#request.clock.now();
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: WireHeaders): void {
    if (status < 200) return;
    if (this.#isRest) this.#restStarts(status, headers);
    if (this.#state !== 'sent') return;
    const { streaming, reader } = this.#request;
    // The headers of anything but a stream come when it is done.
    this.#lastByteAt = streaming !== null && status < 300 ? NO_BYTE : this.#request.clock.now();
    this.#request.said?.(headers);
    if (status >= 300 || streaming === null || saysWhole(headers)) {
      this.#state = 'collecting';
      this.#collected = new CollectedAnswer(status, headers);
    } else {
      this.#state = 'holding';
      this.#stream = new AnswerStream(reader.stream(headers), streaming, this, this.#call.redact);
      this.#unpackIfPacked(headers);
    }
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
        } else this.#stream?.push(chunk);
    }
  }

  /** The answer to `again`. */
  #restStarts(status: number, headers: WireHeaders): void {
    this.#lastByteAt = this.#request.clock.now();
    if (status >= 300) this.#fail(plainFailure('broken_body', `the rest was refused with HTTP ${status}`));
    else this.#unpackIfPacked(headers);
    if (this.#paused) this.#pauseSource();
  }

  /** A stream's bytes, which may come packed though we ask for them as they are. */
  #unpackIfPacked(headers: WireHeaders): void {
    const coding = contentCoding(headers);
    if (coding === 'unknown') this.#fail(unknownCoding(headers, this.#call.redact));
    if (coding === null || coding === 'unknown') return;
    const unpacker = unpackStream(coding);
    this.#unpacker = unpacker;
    listenTo(unpacker, {
      unpacked: (chunk) => this.#stream?.push(chunk),
      // Whether or not the reader is slow: the unpacker takes no more than its own room while nobody reads it.
      drained: () => this.#controller?.resume(),
      ended: () => {
        if (this.#brokeOff === null) this.#stream?.bodyEnded();
        else this.#breakOff(this.#brokeOff);
      },
      damaged: (failure) => this.#breakOff(this.#brokeOff ?? failure),
    });
  }

  /** The answer has come in part: asks for the rest, which goes on where this left off. */
  again(body: readonly Buffer[]): void {
    if (this.#state === 'over') return;
    this.#isRest = true;
    this.#bodyOver = false;
    this.#unpacker = null;
    this.#lastByteAt = this.#request.clock.now();
    this.#send(body);
  }

  onResponseEnd(): void {
    this.#bodyOver = true;
    switch (this.#state) {
      case 'collecting':
        this.#collectedAll();
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
    const wasInLine = this.#inLine;
    this.#inLine = false;
    if (this.#state === 'over') {
      if (wasInLine) this.#request.socketFree?.();
      return;
    }
    this.#bodyOver = true;
    const failure = transportFailure(error, !this.#awaitsHeaders(), this.#call.redact);
    // Of an error's body enough has come to know the status.
    if (this.#state === 'collecting' && this.#collected?.isError) this.#collectedAll();
    else if (this.#state === 'draining') this.#end();
    else if (this.#unpacker !== null) {
      this.#brokeOff = failure;
      this.#unpacker.end();
    } else this.#breakOff(failure);
  }

  /** Of a finished stream, all that counts has come. */
  #breakOff(failure: Failure): void {
    if (this.#stream?.finished) this.complete();
    else this.#fail(failure);
  }

  #collect(chunk: Buffer): void {
    if (this.#collected?.add(chunk)) return;
    if (this.#collected?.isError) this.#collectedAll();
    else this.#fail(plainFailure('broken_body', `the answer was larger than ${MAX_ANSWER} bytes`));
  }

  /** The body of a plain answer or of an error is there, or as much of it as will come. */
  #collectedAll(): void {
    const collected = this.#collected;
    if (this.#state !== 'collecting' || collected === null) return;
    this.#letGo();
    const body = collected.take();
    if (body instanceof Promise) body.then((unpacked) => this.#read(collected, unpacked));
    else this.#read(collected, body);
  }

  /** `body` null: it could not be unpacked. */
  #read({ status, headers }: CollectedAnswer, body: Buffer | null): void {
    const { clock, streaming, reader } = this.#request;
    const answer = { status, headers, body, clock };
    const read = readWholeAnswer(answer, reader, this.#call.redact);
    if (read.kind === 'again' && streaming === null) this.#askForRest(read.body);
    else this.#settle(endOf(read));
  }

  /** Of what has been collected: nothing more is to be asked for. */
  #settle(end: AttemptEnd): void {
    this.#request.socketFree?.();
    this.#resolve(end);
  }

  /** Another request on behalf of the same try, within the same bounds. */
  #askForRest(body: readonly Buffer[]): void {
    const failed = (end: AttemptEnd) => this.#settle(end);
    authorizeRest(this.#request, { ...this.#call, body }, failed, (call) => {
      const rest = new Attempt(this.#request, call, this.#request.clock.now(), this.#resolve);
      rest.#attemptEndsAt = this.#attemptEnd();
      rest.start();
    });
  }

  heard(): void {
    this.#heard = true;
  }

  begun(): void {
    this.#state = 'flowing';
    // It will not be sent again, and the stream may last.
    const { headers, redact } = this.#call;
    this.#call = { headers, redact, body: [] };
    const stream = this.#stream as AnswerStream;
    this.#request.streamBegun?.(stream);
    this.#resolve({ kind: 'stream', stream });
  }

  finished(): void {
    this.#finishedAt = this.#request.clock.now();
    this.#arm(this.#finishedAt);
  }

  broken(failure: Failure): void {
    this.#fail(failure);
  }

  dropped(): void {
    this.#request.dropped();
  }

  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#pauseSource();
  }

  #pauseSource(): void {
    if (this.#unpacker === null) this.#controller?.pause();
    else this.#unpacker.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    // The silence was the reader's, not the upstream's.
    this.#lastByteAt = this.#request.clock.now();
    if (this.#finishedAt !== null) {
      this.#finishedAt = this.#lastByteAt;
      this.#arm(this.#finishedAt);
    }
    if (this.#unpacker === null) this.#controller?.resume();
    else this.#unpacker.resume();
  }

  /** When the next bound is reached, on the clock's time. */
  #nextDue(): number {
    const { timeouts, deadline } = this.#request;
    const lastWords = this.#finishedAt === null ? Infinity : this.#finishedAt + LAST_WORDS;
    if (this.#state === 'draining') return lastWords;
    let at = Math.min(this.#attemptEnd(), deadline);
    if (this.#awaitsFirstToken()) at = Math.min(at, this.#startedAt + timeouts.firstToken);
    if (!this.#awaitsHeaders() && !this.#paused)
      at = Math.min(at, this.#lastByteAt + timeouts.idle, lastWords);
    return at;
  }

  #attemptEnd(): number {
    return this.#attemptEndsAt ?? this.#startedAt + this.#request.timeouts.attempt;
  }

  #awaitsFirstToken(): boolean {
    if (this.#request.streaming === null || this.#heard) return false;
    return this.#awaitsHeaders() || this.#state === 'holding' || this.#lastByteAt === NO_BYTE;
  }

  #awaitsHeaders(): boolean {
    return this.#state === 'queued' || this.#state === 'sent';
  }

  /** For the next bound, or for when silence from now on would be too long: so the timer need not be set anew with what comes. */
  #arm(now: number): void {
    const { idle } = this.#request.timeouts;
    if (this.#state !== 'over') this.#timer.set(Math.min(this.#nextDue(), now + idle), now);
  }

  timerWentOff(): void {
    const now = this.#request.clock.now();
    if (now < this.#nextDue()) this.#arm(now);
    else if (this.#state === 'draining') this.#end();
    else if (this.#stream?.finished) this.complete();
    else {
      const { timeouts, deadline } = this.#request;
      const bounds = { timeouts, deadline, startedAt: this.#startedAt, attemptEnd: this.#attemptEnd() };
      const queued = this.#state === 'queued';
      this.#timedOut(whatIsOver(now, bounds, { queued, awaitsFirstToken: this.#awaitsFirstToken() }));
    }
  }

  /** Of an error whose body does not end, the status and what came of the body are known. */
  #timedOut(failure: Failure): void {
    if (this.#state === 'collecting' && this.#collected?.isError) this.#collectedAll();
    else this.#fail(failure, this.#paused || this.#state === 'queued');
  }

  cancelled(reason: CancelReason): void {
    if (reason === 'shutdown') this.#breakOff(goneFailure(reason));
    else this.#fail(goneFailure(reason));
  }

  /** The client has all of the stream. */
  complete(): void {
    if (this.#state !== 'flowing') return;
    this.#state = 'draining';
    this.#finishedAt = this.#request.clock.now();
    this.#request.cancellation.remove(this);
    if (this.#bodyOver) this.#end();
    else this.#arm(this.#finishedAt);
    this.#request.streamOver(null, false);
    this.#stream?.finish(null);
    // A reader that was slow up to the end must not keep the body's end from us.
    this.#controller?.resume();
  }

  #fail(failure: Failure, heldUp = false): void {
    if (this.#state === 'over' || this.#state === 'draining') return;
    const begun = this.#state === 'flowing';
    this.#end();
    if (begun) this.#request.streamOver(failure, heldUp);
    else this.#resolve({ kind: 'failed', failure, heldUp });
    this.#stream?.finish(failure);
  }

  #end(): void {
    this.#letGo();
    if (!this.#inLine) this.#request.socketFree?.();
  }

  /** Lets go of everything but the place for a socket. Ends the socket if the body is not through. */
  #letGo(): void {
    this.#state = 'over';
    this.#timer.clear();
    this.#request.cancellation.remove(this);
    this.#unpacker?.destroy();
    if (!this.#bodyOver) this.#controller?.abort(OVER);
  }
}
