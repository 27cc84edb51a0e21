import type { Presenter } from '../chat/presenter.ts';
import type { Clock, Timer } from '../core/clock.ts';
import { ERROR_CODES } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import type { Failure } from '../core/outcome.ts';
import type { BegunStream, StreamSink } from '../upstream/stream-roles.ts';
import type { Exchange, Headers, ResponseStream } from './exchange.ts';

/** Of an upstream's own words, as much as goes into our error. Characters. */
const LONGEST_REASON = 1000;

export const STREAM_TYPE = 'text/event-stream; charset=utf-8';

/** Besides its type. nginx holds streams back unless it is told not to. */
export const STREAM_HEADERS: readonly string[] = ['cache-control', 'no-cache', 'x-accel-buffering', 'no'];

/** A stream, and who speaks where it has no words of its own. */
export interface Delivered {
  stream: BegunStream;
  voice: Presenter;
  /** The events are the target's own. */
  relayed: boolean;
}

/**
 * Brings a stream that has begun to its client, as fast as that reads. Resolves when it is over: null if the client has it whole.
 * A broken one ends in an error event and no end mark, so that it cannot be taken for a whole answer.
 */
export function deliverStream(
  { stream, voice, relayed }: Delivered,
  exchange: Pick<Exchange, 'stream'>,
  headers: Headers,
  heartbeat: number,
  clock: Clock,
): Promise<Failure | null> {
  headers.push(...STREAM_HEADERS);
  return new Promise((resolve) => {
    new Delivery({ stream, voice, relayed }, heartbeat, clock, resolve).begin(exchange, headers);
  });
}

/** A stream on its way. As long as it lasts nothing else is kept for it: not its headers, nor what they were made from. */
class Delivery implements StreamSink {
  readonly #stream: BegunStream;
  readonly #voice: Presenter;
  readonly #relayed: boolean;
  readonly #heartbeat: number;
  readonly #clock: Clock;
  readonly #resolve: (failure: Failure | null) => void;
  #response: ResponseStream | null = null;
  #clientIsSlow = false;
  #writtenAt: number;
  #timer: Timer | null = null;

  constructor(
    { stream, voice, relayed }: Delivered,
    heartbeat: number,
    clock: Clock,
    resolve: (failure: Failure | null) => void,
  ) {
    this.#stream = stream;
    this.#voice = voice;
    this.#relayed = relayed;
    this.#heartbeat = heartbeat;
    this.#clock = clock;
    this.#resolve = resolve;
    this.#writtenAt = clock.now();
  }

  begin(exchange: Pick<Exchange, 'stream'>, headers: Headers): void {
    try {
      this.#response = exchange.stream(headers, () => this.#drained());
    } catch (error) {
      // A mistake, and none of the upstream's: it is not to go on for nobody.
      this.#stream.letGo();
      throw error;
    }
    if (this.#heartbeat > 0) this.#beatIn(this.#heartbeat);
    this.#stream.flow(this);
  }

  /** The client has caught up. */
  #drained(): void {
    this.#clientIsSlow = false;
    this.#stream.resume();
  }

  write(bytes: Buffer): boolean {
    this.#writtenAt = this.#clock.now();
    this.#clientIsSlow = this.#response?.write(bytes) === false;
    return !this.#clientIsSlow;
  }

  end(failure: Failure | null): void {
    this.#timer?.cancel();
    const voice = this.#voice;
    const last =
      failure === null ? voice.end(this.#relayed) : lastWords(failure, voice, this.#stream.lastEvent);
    if (last !== null) this.#response?.write(last);
    this.#response?.end();
    this.#resolve(failure);
  }

  #beatIn(ms: number): void {
    this.#timer = this.#clock.schedule(ms, () => this.#beat());
  }

  #beat(): void {
    const quiet = this.#clock.now() - this.#writtenAt;
    if (quiet < this.#heartbeat) {
      this.#beatIn(this.#heartbeat - quiet);
      return;
    }
    if (!this.#clientIsSlow) {
      this.#response?.write(this.#voice.ping);
      this.#writtenAt = this.#clock.now();
    }
    this.#beatIn(this.#heartbeat);
  }
}

/** Nobody hears the last words to a client that has left. */
function lastWords(failure: Failure, voice: Presenter, after: JsonObject | null): Buffer | null {
  if (failure.kind === 'client_gone') return null;
  return voice.error({
    message: `The stream was interrupted: ${failure.message.slice(0, LONGEST_REASON)}. What came before is not the whole answer.`,
    type: ERROR_CODES.stream_interrupted.type,
    code: 'stream_interrupted',
    after,
  });
}
