import { type CancelListener, Cancellation, type CancelReason } from '../core/cancellation.ts';
import { ApiError, ERROR_CODES } from '../core/errors.ts';
import { isJsonObject, tryParseJson } from '../core/json.ts';
import { EventNumbers } from '../replay/number-events.ts';
import type { StreamLog, StreamLogs } from '../replay/stream-log.ts';
import type { DetachedWork } from './detached-work.ts';
import { firstHeaders, sendError } from './errors.ts';
import type { Exchange, Headers, ResponseStream } from './exchange.ts';
import { interruption, lastEventOf, voiceOf } from './last-words.ts';
import { WrappedExchange } from './wrapped-exchange.ts';

export interface ResumableContext {
  tenant: string;
  streams: StreamLogs;
  detached: DetachedWork;
  newId(): string;
}

export const RESUME_HEADER = 'x-spillway-resume';
const YES: ReadonlySet<string> = new Set(['true', '1']);
const NO: ReadonlySet<string> = new Set(['', 'false', '0']);

/** Does its client ask for a stream that it can come back to? Throws an ApiError where that cannot be told. */
export function wantsToResume(exchange: Exchange): boolean {
  const said = exchange.header(RESUME_HEADER)?.toLowerCase() ?? '';
  if (NO.has(said)) return false;
  if (YES.has(said)) return true;
  throw new ApiError('invalid_value', `The header \`${RESUME_HEADER}\` must be \`true\` or \`false\`.`, {
    param: RESUME_HEADER,
  });
}

/**
 * The same exchange, as one whose work goes on without the client. For requests for a stream only. From here on all that is said to the client
 * must be said to what this returns.
 */
export function resumable(exchange: Exchange, context: ResumableContext): Exchange {
  return new ResumableExchange(exchange, context);
}

/** The work has ended, whatever came of it: nothing is left waiting for an answer that was never given. */
export function closeResumable(exchange: Exchange): void {
  if (exchange instanceof ResumableExchange) exchange.close();
}

const REMOVED = 'The stream was removed while it was under way. What came before is not the whole answer.';

/**
 * An exchange whose events are numbered and kept. While its client is there, the answer comes as fast as the client reads; when the client has gone, as
 * fast as it can.
 */
class ResumableExchange extends WrappedExchange implements CancelListener, ResponseStream {
  readonly #log: StreamLog;
  readonly #detached: DetachedWork;
  readonly #numbers = new EventNumbers();
  /** To the client, once it has begun and as long as there is a client. */
  #response: ResponseStream | null = null;
  #onDrain: (() => void) | null = null;
  #clientIsSlow = false;
  #clientIsGone = false;
  #over = false;
  /** What was written last. */
  #latest: Buffer | null = null;

  constructor(inner: Exchange, { tenant, streams, detached, newId }: ResumableContext) {
    super(inner, new Cancellation());
    this.#detached = detached;
    const { requestId, dialect } = inner;
    this.#log = streams.open({
      tenant,
      wanted: requestId,
      // Of our own ids, none is given twice.
      unused: inner.header('x-request-id') !== requestId,
      fresh: newId,
      dialect,
      removed: () => this.#removed(),
    });
    inner.cancellation.add(this);
  }

  /** The client's connection has ended, or the process must. */
  cancelled(reason: CancelReason): void {
    if (reason !== 'client_gone') {
      this.cancellation.cancel(reason);
      return;
    }
    this.#clientIsGone = true;
    this.#response = null;
    if (this.#over) return;
    this.#detached.add(this.cancellation);
    if (this.#clientIsSlow) this.#goOn();
  }

  override send(status: number, headers: Headers, body: Buffer | string): void {
    if (this.#over) return;
    // Who comes back for it finds why there is none.
    if (this.#clientIsGone && status >= 400) {
      this.#log.begin();
      this.#keep(this.#asEvent(body));
      this.#log.end();
    } else this.#log.abandon();
    this.#end();
    this.inner.send(status, headers, body);
  }

  override stream(headers: Headers, onDrain: () => void): ResponseStream {
    if (this.#over) return this;
    this.#onDrain = onDrain;
    const id = this.#log.begin();
    if (this.#clientIsGone) return this;
    headers.push('x-spillway-stream-id', id);
    this.#response = this.inner.stream(headers, () => {
      if (this.#clientIsSlow) this.#goOn();
    });
    return this;
  }

  write(bytes: Buffer): boolean {
    if (this.#over) return true;
    const told = this.#keep(bytes);
    if (this.#response === null || told.length === 0) return true;
    this.#clientIsSlow = !this.#response.write(told);
    return !this.#clientIsSlow;
  }

  end(): void {
    if (this.#over) return;
    const rest = this.#numbers.end();
    if (rest.length > 0) this.#response?.write(rest);
    this.#log.end();
    const response = this.#response;
    this.#end();
    response?.end();
  }

  /** Without a word of how it was answered: it was not. */
  close(): void {
    if (this.#over) return;
    this.#log.abandon();
    const response = this.#response;
    this.#end();
    response?.end();
  }

  /** Answers what the client is to be told. */
  #keep(bytes: Buffer): Buffer {
    const { told, kept, count } = this.#numbers.add(bytes);
    if (kept !== null) {
      this.#latest = bytes;
      this.#log.append(kept, count);
    }
    return told;
  }

  #goOn(): void {
    this.#clientIsSlow = false;
    this.#onDrain?.();
  }

  /** The stream is wanted no more: that is the end for its client, too, if it is still there. */
  #removed(): void {
    if (this.#over) return;
    const response = this.#response;
    const after = lastEventOf(this.#latest);
    this.#end();
    if (response !== null) {
      response.write(interruption(voiceOf(this.dialect), REMOVED, after));
      response.end();
    } else if (!this.#clientIsGone) {
      const error = new ApiError('stream_interrupted', REMOVED, { shouldRetry: false });
      sendError(this.inner, error, firstHeaders(this.inner));
    }
    this.cancellation.cancel('client_gone');
  }

  #end(): void {
    this.#over = true;
    this.#response = null;
    this.#latest = null;
    this.inner.cancellation.remove(this);
    this.#detached.remove(this.cancellation);
  }

  /** An error that would have been the answer. */
  #asEvent(body: Buffer | string): Buffer {
    const value = tryParseJson(body.toString());
    const error = isJsonObject(value ?? null) ? (value as { error?: unknown }).error : null;
    const { message, type, code } = (error ?? {}) as Record<string, unknown>;
    return voiceOf(this.dialect).error({
      message: typeof message === 'string' ? message : 'The request failed.',
      type: typeof type === 'string' ? type : ERROR_CODES.stream_interrupted.type,
      code: typeof code === 'string' ? code : 'stream_interrupted',
    });
  }
}
