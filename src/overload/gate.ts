import type { EventLoop } from './event-loop.ts';
import { FairQueue } from './fair-queue.ts';

/** A loop that is later than this has more to do than it does at once. More than a collection of garbage takes as a rule. Milliseconds. */
const LATE = 3;
/** For so long after it was last late, or somebody had to wait, requests still go through the lines. Milliseconds. */
const STAYS_LATE = 500;

/** Given to beginning requests in each turn of the loop, at least; what was begun before goes on in between. Milliseconds. */
const TURN = 1;
/** But no less than this part of the time since the last turn: of a loop that does nothing but refuse, something is left for the others. */
const SHARE = 0.1;
/** About what a refusal takes, Node's reading of HTTP included. Milliseconds. */
const REFUSAL = 0.02;
/** And besides, for each byte of a body that is read over. Milliseconds. */
const REFUSED_BYTE = 1e-6;

/** How long a request may have to wait while many come at once, which is soon over. Milliseconds. */
const BURST_WAIT = 500;
/** And once it has been too much without a break for `STANDING`: more waiting would answer no more requests. Milliseconds. */
const STANDING_WAIT = 100;
const STANDING = 1000;

/** How fast requests are begun is measured over this, and not known before. Milliseconds of work, while there is too much of it. */
const MEASURED_OVER = 250;
/** Nor by a single long piece of work: one counts for so much at most. Milliseconds. */
const MOST_AT_ONCE = 25;
/** As many may wait in any case, or it would never be known that there is time for more again. */
const LEAST_ROOM = 4;

/**
 * Begins requests when there is time for them. While the event loop is on time that is at once, and costs one comparison. When it is late, those
 * that have come wait until the loop has looked at all of its sockets; then they are begun for a few milliseconds, the tenants in turn,
 * and the loop goes on with what was begun before. So the loop stays quick, whoever sends how much.
 *
 * As many may wait as will be begun within a bounded time, by how fast they have been begun of late; the delay of the loop itself
 * counts as a part of that time. There is no room for more then, but for tenants that have less than an equal share of the room waiting.
 */
export class Gate<T> {
  readonly #loop: EventLoop;
  readonly #begin: (item: T) => void;
  readonly #queue = new FairQueue<T>();
  #isLate = false;
  /** The next turn is asked for, or under way. */
  #turning = false;
  #turnedAt = 0;
  #turnEnds = 0;
  #beganAt = Number.NaN;
  /** Since the last measurement. */
  #begun = 0;
  /** Milliseconds that refusals took since then. */
  #refusing = 0;

  /** When it was last measured, and how much the loop had worked by then. */
  #measuredAt: number;
  #worked: number;
  /** When there was last not too much to do, and when too much. On the clock's time. */
  #easyAt: number;
  #hardAt = Number.NEGATIVE_INFINITY;
  /** Milliseconds of work, while there was too much, that `#rate` and `#delay` come from; up to `MEASURED_OVER`. */
  #known = 0;
  /** Requests begun per millisecond of it, and how late it made the loop, in milliseconds. */
  #rate = 0;
  #delay = 0;

  /** `begin` must not throw. */
  constructor(loop: EventLoop, begin: (item: T) => void) {
    this.#loop = loop;
    this.#begin = begin;
    this.#measuredAt = loop.clock.now();
    this.#worked = loop.worked();
    this.#easyAt = this.#measuredAt;
  }

  /** That wait to be begun. */
  get waiting(): number {
    return this.#queue.length;
  }

  /** Begins a request, or has it wait for that. False: there is no room for it. */
  enter(tenant: string, item: T): boolean {
    if (!this.#isLate) {
      this.#begun++;
      this.#begin(item);
      return true;
    }
    if (!this.hasRoom(tenant)) return false;
    this.#queue.add(tenant, item);
    if (!this.#turning) {
      this.#turning = true;
      this.#turnedAt = this.#loop.clock.now();
      this.#loop.nextTurn(this.#turn);
    }
    return true;
  }

  /** Would another request of this tenant have to be refused? To be asked before its body is read; `enter` asks again. */
  hasRoom(tenant: string): boolean {
    if (!this.#isLate || this.#known < MEASURED_OVER) return true;
    const room = this.#room();
    const { length, tenants } = this.#queue;
    return length < room || this.#queue.waitingOf(tenant) * (tenants + 1) < room;
  }

  /** A request was refused, for whatever reason: that takes time as well. `bytes`: of its body, which are read over. */
  refused(bytes: number): void {
    this.#refusing += REFUSAL + bytes * REFUSED_BYTE;
  }

  /** How late the loop is now. To be called again and again, whether it is or not. */
  measured(lateMs: number): void {
    const now = this.#loop.clock.now();
    const worked = this.#loop.worked();
    if (lateMs >= LATE || this.#queue.length > 0) {
      this.#isLate = true;
      this.#hardAt = now;
      this.#learn(worked - this.#worked, lateMs);
    } else {
      this.#easyAt = now;
      if (this.#isLate && now - this.#hardAt > STAYS_LATE) this.#isOnTime();
    }
    this.#measuredAt = now;
    this.#worked = worked;
    this.#begun = 0;
    this.#refusing = 0;
  }

  #isOnTime(): void {
    this.#isLate = false;
    this.#known = 0;
    this.#rate = 0;
    this.#delay = 0;
  }

  /**
   * At first plain averages, later those of the last `MEASURED_OVER` milliseconds, the latest counting most. Of work, not of time: what the
   * processor does for others makes everybody wait, but refusals would not bring it back. Nor would they bring back what refusals take.
   */
  #learn(worked: number, lateMs: number): void {
    if (worked <= 0) return;
    const counted = Math.min(worked, MOST_AT_ONCE);
    this.#known = Math.min(this.#known + counted, MEASURED_OVER);
    const weight = counted / this.#known;
    this.#rate += weight * (this.#begun / worked - this.#rate);
    const ownLate = Math.max(0, Math.min(lateMs, worked) - this.#refusing);
    this.#delay += weight * (ownLate - this.#delay);
  }

  /** How many may wait. */
  #room(): number {
    const isStanding = this.#measuredAt - this.#easyAt > STANDING;
    const wait = (isStanding ? STANDING_WAIT : BURST_WAIT) - this.#delay;
    return Math.max(LEAST_ROOM, this.#rate * wait);
  }

  readonly #turn = (): void => {
    const now = this.#loop.clock.now();
    this.#turnEnds = now + Math.max(TURN, SHARE * (now - this.#turnedAt));
    this.#turnedAt = now;
    this.#next();
  };

  /** Begins one, and comes back when what it could do at once is done. */
  readonly #next = (): void => {
    const now = this.#loop.clock.now();
    if (!Number.isNaN(this.#beganAt)) this.#queue.charge(now - this.#beganAt);
    const item = now < this.#turnEnds ? this.#queue.take() : null;
    if (item === null) {
      this.#beganAt = Number.NaN;
      this.#turning = this.#queue.length > 0;
      if (this.#turning) this.#loop.nextTurn(this.#turn);
      return;
    }
    this.#beganAt = now;
    this.#begun++;
    this.#begin(item);
    this.#loop.settled(this.#next);
  };
}
