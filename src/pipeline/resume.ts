import type { Presenter } from '../chat/presenter.ts';
import { type CancelListener, Cancellation, type CancelReason } from '../core/cancellation.ts';
import type { Clock } from '../core/clock.ts';
import { ApiError, shuttingDown } from '../core/errors.ts';
import {
  type Reading,
  type ReadingEnd,
  type ReadingSink,
  STREAM_ID,
  type StreamLogs,
} from '../replay/stream-log.ts';
import { authenticate } from './authenticate.ts';
import { STREAM_HEADERS, STREAM_TYPE } from './deliver.ts';
import { answerErrors, firstHeaders } from './errors.ts';
import type { Exchange, ResponseStream } from './exchange.ts';
import { type Beating, Heartbeat } from './heartbeat.ts';
import { interruption, lastEventOf, voiceOf } from './last-words.ts';
import type { Live } from './live.ts';

/** What a client asks for that comes back to a stream. */
export interface Asked {
  id: string;
  /** `after` of the query, as it came; a list if it came several times. Null: there is none. */
  after: string | readonly string[] | null;
}

const AWAY = 'Streams of other gateways cannot be read now: the store that they are kept in is away.';

/** More than any stream has; and a number that nothing on its way makes another one of. Digits. */
const AN_EVENT = /^\d{1,15}$/;

/**
 * `GET /v1/streams/{id}`: what came after an event, then what comes, and the end as it was. Resolves when the answer has begun.
 */
export async function resume(
  exchange: Exchange,
  live: Live,
  asked: Asked,
  { streams, clock, resumed }: { streams: StreamLogs; clock: Clock; resumed(): void },
): Promise<void> {
  await answerErrors(
    exchange,
    async () => {
      const { tenant } = authenticate(exchange, live);
      const after = eventIn(asked.after, exchange.header('last-event-id'));
      const { cancellation } = exchange;
      const found = STREAM_ID.test(asked.id)
        ? await streams.read(tenant.id, asked.id, after, cancellation)
        : 'unknown';
      if (found === 'unknown') throw notFound(asked.id, cancellation);
      if ('kind' in found) throw truncated(asked.id, found.first);
      resumed();
      new Resumption(exchange, asked.id, found, { heartbeat: live.heartbeat, clock });
    },
    AWAY,
  );
}

/** Asks in the place of a client that may not wait. */
const AT_ONCE_OR_NOT = new Cancellation();
AT_ONCE_OR_NOT.cancel('superseded');

/** `DELETE /v1/streams/{id}`: it is forgotten, and the work ends if it is still under way. `mayWait`: for one that may be on its way. */
export async function remove(
  exchange: Exchange,
  live: Live,
  id: string,
  { streams, mayWait }: { streams: StreamLogs; mayWait: boolean },
): Promise<void> {
  await answerErrors(
    exchange,
    async () => {
      const { tenant } = authenticate(exchange, live);
      const { cancellation } = exchange;
      const asker = mayWait ? cancellation : AT_ONCE_OR_NOT;
      const isRemoved = STREAM_ID.test(id) && (await streams.remove(tenant.id, id, asker));
      if (!isRemoved) throw notFound(id, cancellation);
      exchange.send(200, firstHeaders(exchange), JSON.stringify({ id, object: 'stream', deleted: true }));
    },
    AWAY,
  );
}

/** A browser that comes back by itself asks at the address it began with, and says in the header how far it has come since. */
function eventIn(query: Asked['after'], header: string | undefined): number {
  const [name, value] =
    header === undefined ? (['after', query] as const) : (['Last-Event-ID', header] as const);
  if (value === null) return 0;
  if (typeof value === 'string' && AN_EVENT.test(value)) return Number(value);
  throw new ApiError(
    'invalid_value',
    `'${name}' must be the number of an event: digits, as in its 'id' line.`,
    {
      param: name,
    },
  );
}

function notFound(id: string, { reason }: Cancellation): ApiError {
  // It may be on its way still: another gateway may find it.
  if (reason === 'shutdown') return shuttingDown();
  const message = `There is no stream '${shortened(id)}' of yours here: none was begun with 'x-spillway-resume: true', or it is not kept any more.`;
  return new ApiError('stream_not_found', message);
}

function shortened(id: string): string {
  return id.length <= 128 ? id : `${id.slice(0, 128)}…`;
}

function truncated(id: string, first: number): ApiError {
  const message = `Of the stream '${id}' only its end is kept, for it is long: events from ${first} on. What came before is gone.`;
  return new ApiError('stream_truncated', message, { param: 'after' });
}

/** Written in one go, without having seen whether the client takes it. Bytes. */
const AT_ONCE = 64 * 1024;

/** Why a stream ends here that has not come to its end. */
const WHY: Readonly<Record<Exclude<ReadingEnd, 'over'> | 'shutdown', string>> = {
  interrupted:
    'The stream was interrupted: the gateway that received it is gone. What came before is not the whole answer.',
  removed: 'The stream was removed, or came to nothing. What came before is not the whole answer.',
  behind: 'The stream went on faster than it was read, and what comes next is not kept any more.',
  unreadable: 'The stream cannot be read at this gateway: it was sealed with another `encryption_key`.',
  away: 'The store that the stream is kept in is away. Ask again for what comes after the last event.',
  shutdown: 'This gateway is shutting down. Ask another one for what comes after the last event.',
};

/** One client that follows a stream. */
class Resumption implements ReadingSink, CancelListener, Beating {
  readonly #exchange: Exchange;
  readonly #reading: Reading;
  readonly #response: ResponseStream;
  readonly #voice: Presenter;
  readonly #heartbeat: Heartbeat;
  #clientIsSlow = false;
  /** Written since it was last seen whether the client keeps up. Bytes. */
  #unseen = 0;
  readonly #goOn = () => this.#reading.resume();
  /** What was written last. */
  #latest: Buffer | null = null;
  #over = false;

  constructor(exchange: Exchange, id: string, reading: Reading, pace: { heartbeat: number; clock: Clock }) {
    this.#exchange = exchange;
    this.#reading = reading;
    this.#heartbeat = new Heartbeat(pace.clock, pace.heartbeat, this);
    this.#voice = voiceOf(reading.dialect);
    const headers = firstHeaders(exchange, STREAM_TYPE);
    headers.push(...STREAM_HEADERS, 'x-spillway-stream-id', id);
    this.#response = exchange.stream(headers, () => {
      this.#clientIsSlow = false;
      this.#goOn();
    });
    exchange.cancellation.add(this);
    if (this.#over) return;
    this.#heartbeat.start();
    reading.flow(this);
    // Headers go out with the first bytes: a client that must wait is to know that it has come to the right place.
    if (!this.#over && this.#latest === null) this.#response.write(this.#voice.ping);
  }

  write(events: Buffer): boolean {
    this.#heartbeat.wrote();
    this.#latest = events;
    this.#clientIsSlow = !this.#response.write(events);
    this.#unseen += events.length;
    if (this.#clientIsSlow || this.#unseen < AT_ONCE) return !this.#clientIsSlow;
    // A response knows only once this turn's writes have gone out, and there may be megabytes to be written in it.
    this.#unseen = 0;
    setImmediate(this.#goOn);
    return false;
  }

  end(how: ReadingEnd): void {
    this.#finish(how === 'over' ? null : how);
  }

  /** The client left, or the process must end. */
  cancelled(reason: CancelReason): void {
    this.#reading.close();
    this.#finish(reason === 'shutdown' ? 'shutdown' : null);
  }

  #finish(why: keyof typeof WHY | null): void {
    if (this.#over) return;
    this.#over = true;
    this.#heartbeat.stop();
    this.#exchange.cancellation.remove(this);
    if (why !== null) this.#response.write(interruption(this.#voice, WHY[why], lastEventOf(this.#latest)));
    this.#latest = null;
    this.#response.end();
  }

  beat(): void {
    if (!this.#clientIsSlow) this.#response.write(this.#voice.ping);
  }
}
