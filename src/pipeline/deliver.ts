import type { Presenter } from '../chat/presenter.ts';
import type { Clock } from '../core/clock.ts';
import type { JsonObject } from '../core/json.ts';
import type { Failure } from '../core/outcome.ts';
import type { BegunStream, StreamSink } from '../upstream/stream-roles.ts';
import type { Exchange, Headers, ResponseStream } from './exchange.ts';
import { type Beating, Heartbeat } from './heartbeat.ts';
import { interruption } from './last-words.ts';

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
class Delivery implements StreamSink, Beating {
  readonly #stream: BegunStream;
  readonly #voice: Presenter;
  readonly #relayed: boolean;
  readonly #heartbeat: Heartbeat;
  readonly #resolve: (failure: Failure | null) => void;
  #response: ResponseStream | null = null;
  #clientIsSlow = false;

  constructor(
    { stream, voice, relayed }: Delivered,
    heartbeat: number,
    clock: Clock,
    resolve: (failure: Failure | null) => void,
  ) {
    this.#stream = stream;
    this.#voice = voice;
    this.#relayed = relayed;
    this.#heartbeat = new Heartbeat(clock, heartbeat, this);
    this.#resolve = resolve;
  }

  begin(exchange: Pick<Exchange, 'stream'>, headers: Headers): void {
    try {
      this.#response = exchange.stream(headers, () => this.#drained());
    } catch (error) {
      // A mistake, and none of the upstream's: it is not to go on for nobody.
      this.#stream.letGo();
      throw error;
    }
    this.#heartbeat.start();
    this.#stream.flow(this);
  }

  /** The client has caught up. */
  #drained(): void {
    this.#clientIsSlow = false;
    this.#stream.resume();
  }

  write(bytes: Buffer): boolean {
    this.#heartbeat.wrote();
    this.#clientIsSlow = this.#response?.write(bytes) === false;
    return !this.#clientIsSlow;
  }

  end(failure: Failure | null): void {
    this.#heartbeat.stop();
    const voice = this.#voice;
    const last =
      failure === null ? voice.end(this.#relayed) : lastWords(failure, voice, this.#stream.lastEvent);
    if (last !== null) this.#response?.write(last);
    this.#response?.end();
    this.#resolve(failure);
  }

  beat(): void {
    if (!this.#clientIsSlow) this.#response?.write(this.#voice.ping);
  }
}

/** Nobody hears the last words to a client that has left. */
function lastWords(failure: Failure, voice: Presenter, after: JsonObject | null): Buffer | null {
  if (failure.kind === 'client_gone') return null;
  const why = failure.message.slice(0, LONGEST_REASON);
  const message = `The stream was interrupted: ${why}. What came before is not the whole answer.`;
  return interruption(voice, message, after);
}
