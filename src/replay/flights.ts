import type { Cancellation, CancelReason } from '../core/cancellation.ts';
import type { Clock } from '../core/clock.ts';
import type { OutcomeKind } from '../core/outcome.ts';
import { AnswerLog, type LogReading, Room } from './answer-log.ts';
import { type AnswerHead, MOST_BYTES } from './cache.ts';

/** Of all answers that are being kept while they come. Beyond it they come all the same, and are not kept. Bytes. */
const ROOM = 64 * 1024 * 1024;

/** Those for whom a request works: its own client, and all who share its answer. When the last one leaves, the work ends. */
export class Audience {
  readonly #work: Cancellation;
  #present = 0;

  constructor(work: Cancellation) {
    this.#work = work;
  }

  enter(): void {
    this.#present++;
  }

  /** Called once by each who has entered. */
  leave(): void {
    if (--this.#present === 0) this.#work.cancel('client_gone');
  }

  /** The process must end, whoever listens. */
  shutDown(): void {
    this.#work.cancel('shutdown');
  }
}

/** How the wait for an answer's head ended. `released`: it will not come, or not for those who wait here. */
export type Boarding = 'begun' | 'released' | 'cancelled' | 'late';

/** One answer on its way, and all who share it. */
export class Flight {
  readonly log: AnswerLog;
  /** Who writes may go on. Set by who does. */
  onReady: () => void = () => {};
  /** How it ended, by its own request; resolves once, always. */
  readonly outcome: Promise<OutcomeKind | null>;
  readonly #audience: Audience;
  readonly #followers = new Set<Follower>();
  readonly #settle: (outcome: OutcomeKind | null) => void;
  #isReleased = false;
  #head: AnswerHead | null = null;
  /** Of an answer that came in one piece. */
  #body: Buffer | null = null;

  constructor(audience: Audience, room: Room) {
    this.#audience = audience;
    this.log = new AnswerLog({ most: MOST_BYTES, room, onReady: () => this.onReady() });
    const { promise, resolve } = Promise.withResolvers<OutcomeKind | null>();
    this.outcome = promise;
    this.#settle = resolve;
  }

  /** May one who comes now still share it? */
  get isOpen(): boolean {
    return !this.#isReleased && this.log.isWhole;
  }

  get head(): AnswerHead | null {
    return this.#head;
  }

  get body(): Buffer | null {
    return this.#body;
  }

  /** Of an open one. */
  join(): Follower {
    const reading = this.log.read(false);
    if (reading === null) throw new Error('too late to join');
    const follower = new Follower(this, reading, this.#audience);
    this.#followers.add(follower);
    if (this.#head !== null) follower.board('begun');
    return follower;
  }

  /** The answer begins. `body`: all of it, where it comes in one piece. */
  begin(head: AnswerHead, body: Buffer | null): void {
    this.#head = head;
    this.#body = body;
    for (const follower of this.#followers) follower.board('begun');
  }

  /** Nobody joins it from now on; those who wait for its beginning go on by themselves. */
  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    if (this.#head !== null) return;
    for (const follower of this.#followers) {
      follower.board('released');
      follower.leave();
    }
  }

  /** The request is over. An answer that has not come to its end never will. */
  close(outcome: OutcomeKind | null): void {
    this.release();
    this.#settle(outcome);
    this.log.abort();
    this.log.free();
  }

  /** For followers that leave. */
  forget(follower: Follower): void {
    this.#followers.delete(follower);
  }
}

/** One who shares the answer to another request. */
export class Follower {
  readonly flight: Flight;
  readonly reading: LogReading;
  readonly #audience: Audience;
  #boarded: Boarding | null = null;
  #onBoarding: ((how: Boarding) => void) | null = null;
  #isThere = true;

  constructor(flight: Flight, reading: LogReading, audience: Audience) {
    this.flight = flight;
    this.reading = reading;
    this.#audience = audience;
    audience.enter();
  }

  /** For the flight. */
  board(how: Boarding): void {
    if (this.#boarded !== null) return;
    this.#boarded = how;
    this.#onBoarding?.(how);
  }

  /** Waits until the answer begins, for so many milliseconds. Whoever does not board has left, however that came. */
  async boarding(clock: Clock, ms: number, cancellation: Cancellation): Promise<Boarding> {
    return this.#boarded ?? (await this.#wait(clock, ms, cancellation));
  }

  #wait(clock: Clock, ms: number, cancellation: Cancellation): Promise<Boarding> {
    return new Promise((resolve) => {
      const end = (how: Boarding) => {
        this.#onBoarding = null;
        timer.cancel();
        cancellation.remove(listener);
        if (how !== 'begun') this.leave();
        resolve(how);
      };
      const listener = {
        cancelled: (reason: CancelReason) => {
          if (reason === 'shutdown') this.#audience.shutDown();
          end('cancelled');
        },
      };
      const timer = clock.schedule(ms, () => end('late'));
      this.#onBoarding = end;
      cancellation.add(listener);
    });
  }

  /** Wants nothing more of it. */
  leave(): void {
    if (!this.#isThere) return;
    this.#isThere = false;
    this.flight.forget(this);
    this.reading.stop();
    this.#audience.leave();
  }

  /** The process of this follower must end, and that is the other's as well. */
  shutDown(): void {
    this.#audience.shutDown();
  }
}

/** The answers that are on their way in this process, by what they would be kept under. */
export class Flights {
  readonly #byKey = new Map<string, Flight>();
  readonly #room: Room;

  constructor(room = new Room(ROOM)) {
    this.#room = room;
  }

  get size(): number {
    return this.#byKey.size;
  }

  /** One that can be shared. */
  find(key: string): Flight | null {
    const flight = this.#byKey.get(key);
    return flight?.isOpen === true ? flight : null;
  }

  /** A new one; `listed`: others may share it. */
  start(key: string, audience: Audience, listed: boolean): Flight {
    const flight = new Flight(audience, this.#room);
    if (listed) this.#byKey.set(key, flight);
    return flight;
  }

  /** Nobody is to find it any more. */
  unlist(key: string, flight: Flight): void {
    if (this.#byKey.get(key) === flight) this.#byKey.delete(key);
  }
}
