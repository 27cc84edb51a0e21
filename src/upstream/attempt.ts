import type { Dispatcher } from 'undici';
import type { CancelListener, CancelReason } from '../core/cancellation.ts';
import type { Failure } from '../core/outcome.ts';
import { ownParts } from '../core/own-bytes.ts';
import { InStep } from '../core/turns.ts';
import type { WireHeaders } from '../providers/retry-after.ts';
import { AnswerStream } from './answer-stream.ts';
import { AttemptBounds, type Bounded } from './attempt-bounds.ts';
import {
  type AttemptCall,
  type AttemptEnd,
  type AttemptRequest,
  type AttemptState,
  awaitsHeaders,
} from './attempt-request.ts';
import { authorizeRest } from './authorize.ts';
import { CollectedAnswer } from './collected-answer.ts';
import { contentCoding, MAX_ANSWER } from './decompress.ts';
import { dispatch } from './dispatch.ts';
import { PackedBody } from './packed-body.ts';
import type { StreamOwner } from './stream-roles.ts';
import { goneFailure, plainFailure, transportFailure } from './transport-failure.ts';
import { endOf, readWholeAnswer, saysWhole, unknownCoding } from './whole-answer.ts';

class AttemptOver extends Error {}

/** Tells undici to let go; nobody sees it. One for all: a stack trace each would cost more than the try's own work. */
const OVER = new AttemptOver('the try is over');

/**
 * Sends the request and resolves when it has an answer, the first content of one, or a failure. Never rejects. `call`: what is sent. `startedAt`, and
 * `now` where it has waited for something since: on the clock's time.
 */
export function attempt(
  request: AttemptRequest,
  call: AttemptCall,
  startedAt: number,
  now = startedAt,
): Promise<AttemptEnd> {
  return new Promise((resolve) => {
    new Attempt(request, call, startedAt, null, resolve).start(now);
  });
}

type Resolve = (end: AttemptEnd) => void;

function ignore(): void {}

const NOTHING: readonly never[] = [];

/** Answers whose bodies came with the same look at the sockets are read one right after the other. */
const toRead = new InStep<Attempt>((attempt) => attempt.readCollected());

/** A try as undici's handler: callbacks instead of promises and streams, one timer for all the bounds. */
class Attempt implements Dispatcher.DispatchHandler, CancelListener, StreamOwner, Bounded {
  readonly #request: AttemptRequest;
  #call: AttemptCall;
  #resolve: Resolve;
  readonly #bounds: AttemptBounds;
  state: AttemptState = 'queued';
  #controller: Dispatcher.DispatchController | null = null;
  /** undici has it, but no socket for it yet: it keeps a place there until it is told that nobody wants it. */
  #inLine = false;
  /** Nothing more will come from the socket, though of a packed body there may still be some. */
  #bodyOver = false;
  #collected: CollectedAnswer | null = null;
  #stream: AnswerStream | null = null;
  /** What is awaited now goes on with an answer of which a part has come. */
  #isRest = false;
  /** The body of a stream, where it comes packed. */
  #packed: PackedBody | null = null;

  /** `endsAt`: as `AttemptBounds` has it. */
  constructor(
    request: AttemptRequest,
    call: AttemptCall,
    startedAt: number,
    endsAt: number | null,
    resolve: Resolve,
  ) {
    this.#request = request;
    this.#call = call;
    this.#resolve = resolve;
    this.#bounds = new AttemptBounds(request, this, startedAt, endsAt);
  }

  start(now: number): void {
    const { cancellation, streaming } = this.#request;
    cancellation.add(this);
    if (this.state === 'over') return;
    this.#bounds.begin(now);
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
    if (this.state === 'over') {
      controller.abort(OVER);
      this.#request.socketFree?.();
      return;
    }
    if (this.#isRest) return;
    this.state = 'sent';
    this.#bounds.sent();
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: WireHeaders): void {
    if (status < 200) return;
    if (this.#isRest) this.#restStarts(status, headers);
    if (this.state !== 'sent') return;
    const { streaming, reader } = this.#request;
    this.#bounds.answered(streaming !== null && status < 300);
    this.#request.said?.(headers);
    if (status >= 300 || streaming === null || saysWhole(headers)) {
      this.state = 'collecting';
      this.#collected = new CollectedAnswer(status, headers);
    } else {
      this.state = 'holding';
      // undici would keep them, and all bytes that came with them, as long as the stream.
      controller.rawHeaders = null;
      this.#stream = new AnswerStream(reader.stream(headers), streaming, this, this.#call.redact);
      this.#unpackIfPacked(headers);
    }
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bounds.byteCame();
    switch (this.state) {
      case 'collecting':
        this.#collect(chunk);
        return;
      case 'holding':
      case 'flowing':
        if (this.#packed === null) this.#stream?.push(chunk);
        else if (!this.#packed.write(chunk)) this.#controller?.pause();
    }
  }

  /** The answer to `again`. */
  #restStarts(status: number, headers: WireHeaders): void {
    this.#bounds.byteCame();
    if (status >= 300) this.#fail(plainFailure('broken_body', `the rest was refused with HTTP ${status}`));
    else this.#unpackIfPacked(headers);
    if (this.#bounds.paused) this.#pauseSource();
  }

  /** A stream's bytes, which may come packed though we ask for them as they are. */
  #unpackIfPacked(headers: WireHeaders): void {
    const coding = contentCoding(headers);
    if (coding === 'unknown') this.#fail(unknownCoding(headers, this.#call.redact));
    if (coding === null || coding === 'unknown') return;
    this.#packed = new PackedBody(coding, {
      unpacked: (chunk) => this.#stream?.push(chunk),
      drained: () => this.#controller?.resume(),
      ended: () => this.#stream?.bodyEnded(),
      broken: (failure) => this.#breakOff(failure),
    });
  }

  /** The answer has come in part: asks for the rest, which goes on where this left off. */
  again(body: readonly Buffer[]): void {
    if (this.state === 'over') return;
    this.#isRest = true;
    this.#bodyOver = false;
    this.#packed = null;
    this.#bounds.byteCame();
    this.#send(body);
  }

  onResponseEnd(): void {
    this.#bodyOver = true;
    switch (this.state) {
      case 'collecting':
        this.#collectedAll();
        return;
      case 'holding':
      case 'flowing':
        if (this.#packed === null) this.#stream?.bodyEnded();
        else this.#packed.end();
        return;
      case 'draining':
        this.#end();
    }
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    const wasInLine = this.#inLine;
    this.#inLine = false;
    if (this.state === 'over') {
      if (wasInLine) this.#request.socketFree?.();
      return;
    }
    this.#bodyOver = true;
    const failure = transportFailure(error, !awaitsHeaders(this.state), this.#call.redact);
    // Of an error's body enough has come to know the status.
    if (this.state === 'collecting' && this.#collected?.isError) this.#collectedAll();
    else if (this.state === 'draining') this.#end();
    else if (this.#packed !== null) this.#packed.breakOff(failure);
    else this.#breakOff(failure);
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
    if (this.state !== 'collecting') return;
    this.#letGo();
    toRead.add(this);
  }

  /** Looks into what has been collected. Called once. */
  readCollected(): void {
    const answer = this.#collected as CollectedAnswer;
    const body = answer.take();
    if (body instanceof Promise) body.then((unpacked) => this.#read(answer, unpacked));
    else this.#read(answer, body);
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
      const now = this.#request.clock.now();
      new Attempt(this.#request, call, now, this.#bounds.endsAt, this.#resolve).start(now);
    });
  }

  heard(): void {
    this.#bounds.heard();
  }

  begun(): void {
    this.state = 'flowing';
    const stream = this.#stream as AnswerStream;
    // It will not be sent again, and the stream may last.
    const { headers, redact } = this.#call;
    this.#call = { headers: stream.mayAskForMore ? headers : NOTHING, redact, body: NOTHING };
    this.#request.streamBegun?.(stream);
    this.#resolve({ kind: 'stream', stream });
    this.#resolve = ignore;
  }

  finished(): void {
    this.#bounds.finished();
  }

  broken(failure: Failure): void {
    this.#fail(failure);
  }

  dropped(): void {
    this.#request.dropped();
  }

  pause(): void {
    if (this.#bounds.paused) return;
    this.#bounds.pause();
    this.#pauseSource();
  }

  #pauseSource(): void {
    if (this.#packed === null) this.#controller?.pause();
    else this.#packed.pause();
  }

  resume(): void {
    if (!this.#bounds.paused) return;
    this.#bounds.resume();
    if (this.#packed === null) this.#controller?.resume();
    else this.#packed.resume();
  }

  timeIsOver(now: number): void {
    if (this.state === 'draining') this.#end();
    else if (this.#stream?.finished) this.complete();
    else this.#timedOut(this.#bounds.whatIsOver(now));
  }

  /** Of an error whose body does not end, the status and what came of the body are known. */
  #timedOut(failure: Failure): void {
    if (this.state === 'collecting' && this.#collected?.isError) this.#collectedAll();
    else this.#fail(failure, this.#bounds.paused || this.state === 'queued');
  }

  cancelled(reason: CancelReason): void {
    if (reason === 'shutdown') this.#breakOff(goneFailure(reason));
    else this.#fail(goneFailure(reason));
  }

  /** The client has all of the stream. */
  complete(): void {
    if (this.state !== 'flowing') return;
    this.state = 'draining';
    this.#request.cancellation.remove(this);
    if (this.#bodyOver) this.#end();
    else this.#bounds.finished();
    this.#request.streamOver(null, false);
    this.#stream?.finish(null);
    // A reader that was slow up to the end must not keep the body's end from us.
    this.#controller?.resume();
  }

  #fail(failure: Failure, heldUp = false): void {
    if (this.state === 'over' || this.state === 'draining') return;
    const begun = this.state === 'flowing';
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
    this.state = 'over';
    this.#bounds.clear();
    this.#request.cancellation.remove(this);
    this.#packed?.destroy();
    if (!this.#bodyOver) this.#controller?.abort(OVER);
  }
}
