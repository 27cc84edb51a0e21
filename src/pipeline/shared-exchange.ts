import type { Cancellation } from '../core/cancellation.ts';
import type { LogReading } from '../replay/answer-log.ts';
import type { Flight } from '../replay/flights.ts';
import type { Exchange, Headers, ResponseStream } from './exchange.ts';
import { headerIn, keptHeaders } from './header-list.ts';
import { WrappedExchange } from './wrapped-exchange.ts';

/** Of the headers of an answer: its type, and what we say of it. What is about one request alone, whoever gives it again says anew. */
const OF_THE_ANSWER = /^(content-type|cache-control|x-accel-buffering|x-spillway-.*)$/;

export interface Sharing {
  /** It was looked for, and is to say that it was not found. */
  isMiss(): boolean;
  /** What is to be told of the answer; null: nobody wants to know. */
  flight(): Flight | null;
  /** The client reads the answer by this. */
  reads(reading: LogReading): void;
}

/** Passes an answer on to its client, and tells a flight of it. */
export class SharedExchange extends WrappedExchange {
  readonly #sharing: Sharing;

  constructor(inner: Exchange, work: Cancellation, sharing: Sharing) {
    super(inner, work);
    this.#sharing = sharing;
  }

  override send(status: number, headers: Headers, body: Buffer | string): void {
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    if (status === 200) this.#sharing.flight()?.begin(headOf(headers, false), bytes);
    this.#sayMiss(headers);
    super.send(status, headers, bytes);
  }

  override stream(headers: Headers, onDrain: () => void): ResponseStream {
    const flight = this.#sharing.flight();
    const head = flight === null ? null : headOf(headers, true);
    this.#sayMiss(headers);
    if (flight === null || head === null) return super.stream(headers, onDrain);
    const { log } = flight;
    flight.onReady = onDrain;
    // One that has left holds nothing up.
    if (this.inner.cancellation.reason !== 'client_gone') {
      const reading = log.read(true);
      if (reading === null) throw new Error('an answer was begun twice');
      const response = super.stream(headers, () => reading.resume());
      reading.start({
        write: (bytes) => response.write(bytes),
        end: () => response.end(),
        // Nothing was said of an end, and so nothing is said here.
        lost: () => {},
      });
      this.#sharing.reads(reading);
    }
    flight.begin(head, null);
    return { write: (bytes) => log.append(bytes), end: () => log.end() };
  }

  #sayMiss(headers: Headers): void {
    if (this.#sharing.isMiss()) headers.push('x-spillway-cache', 'miss');
  }
}

function headOf(headers: Headers, streamed: boolean) {
  const kept = keptHeaders(headers, (name) => OF_THE_ANSWER.test(name));
  return { status: 200, headers: kept, streamed, target: headerIn(headers, 'x-spillway-target') };
}
