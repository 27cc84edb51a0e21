import { LARGE } from '../core/turns.ts';
import type { EventLoop } from './event-loop.ts';
import { FairQueue, QUANTUM } from './fair-queue.ts';
import { requestWeight } from './request-weight.ts';

/** A loop that is later than this has more to do than it does at once. More than a collection of garbage takes as a rule. Milliseconds. */
const LATE = 3;
/** For so long after it was last late, or somebody had to wait, requests still go through the lines. Milliseconds. */
const STAYS_LATE = 500;

/** Given to beginning requests in each turn of the loop, at least; what was begun before goes on in between. Milliseconds. */
const TURN = 0.25;
/**
 * Or up to as many requests as this, while less than so many milliseconds have passed: what goes in step (see `core/turns.ts`) costs about a quarter less than what goes alone,
 * and all that follows from them comes together as well.
 */
const IN_STEP = 16;
const IN_STEP_TURN = 1;
/**
 * But no less than this part of the time since the last turn: of a loop that does nothing but refuse, something is left for the others. It has to be less than
 * the part that beginning is of all that a request takes, some tenth: else what one turn begins makes a later one longer, in which more is begun, until all that came is
 * under way at once.
 */
const SHARE = 0.05;
/** Node takes on one new connection each time that it looks at its sockets: so often it looks again in a turn, if one has come. */
const LOOKS = 8;
/** A request is charged with no less: where the system counts a thread's work in steps, most would be charged with nothing. Milliseconds. */
const LEAST_CHARGE = 0.01;
/** What is done with a large body is done in several turns, of which the first, the beginning, is about a third. */
const OF_LARGE = 3;
const LARGE_WEIGHT = requestWeight(LARGE);
/** About what a refusal without a body takes, Node's reading of HTTP and the kernel's part included: about half of what an answer does. Milliseconds. */
const REFUSAL = 0.05;

/** So many may wait while many come at once, which is soon over: about a second's work. */
const BURST = 5000;
/** Once it has been too much for longer than `STANDING`, a request may have to wait so long: more would answer no more of them. Milliseconds. */
const STANDING_WAIT = 200;
/** And no more than these may wait: each is moved by the garbage collector, again if it waits for long, which costs up to a third of what it does itself. */
const STANDING_BURST = 600;
/** Nor more than this, by their weight: 32 MB of bodies. V8 looks at all that lives for each 64 MB beside its heap, and only then frees a body that has waited for long. */
const STANDING_WEIGHT = 1600;
const STANDING = 1500;
/** A loop that has had nothing to do for so long, of a time of `STANDING`, is not asked for too much. Milliseconds. */
const IDLE = 300;

/** How fast requests are begun is measured over this, and not known before. Milliseconds of work, while there is too much of it. */
const MEASURED_OVER = 250;
/** Nor by a single long piece of work: one counts for so much at most. Milliseconds. */
const MOST_AT_ONCE = 25;
/** The delay of the loop counts so many times: everybody waits for it again and again, with each answer and each event of a stream. */
const DELAY_WEIGHT = 3;
/** As many may wait in any case, or it would never be known that there is time for more again. */
const LEAST_ROOM = 4;

/**
 * Begins requests when there is time for them. While the event loop is on time that is at once, and costs one comparison. When it is late, those
 * that have come wait until the loop has looked at all of its sockets; then they are begun for a few milliseconds, the tenants in turn,
 * and the loop goes on with what was begun before. So the loop stays quick, whoever sends how much.
 *
 * As many may wait as will be begun within a bounded time, by how fast they have been begun of late, if their bodies are not too much; the delay
 * of the loop itself counts as a part of that time. There is no room for more then, but for tenants that have less than an equal share of the room waiting;
 * and for nobody where as many tenants wait as requests can be begun in that time.
 */
export class Gate<T> {
  readonly #loop: EventLoop;
  readonly #begin: (item: T) => void;
  readonly #hasLittle: (tenant: string) => boolean;
  readonly #queue = new FairQueue<T>();
  #isLate = false;
  /** The next turn is asked for, or under way. */
  #turning = false;
  #turnedAt = 0;
  #turnEnds = 0;
  #begunInTurn = 0;
  /** In this turn; and whether a connection has come since it was last looked. */
  #looks = 0;
  #hasConnected = false;
  /** When the request whose beginning is under way was begun, on the clock and in work; NaN: there is none, or no other tenant to be fair to. */
  #beganAt = Number.NaN;
  #beganWork = 0;
  /** Since the last measurement. */
  #begun = 0;
  /** Milliseconds that refusals took since then. */
  #refusing = 0;

  /** When it was last measured, and how much the loop had worked by then; NaN: nobody asked, for it was on time. */
  #measuredAt: number;
  #worked = Number.NaN;
  /** How much it had idled by then, and by the beginning of the time over which that is looked at; NaN: nobody asked. */
  #idle = Number.NaN;
  #idleBefore = Number.NaN;
  #idleSince = Number.NEGATIVE_INFINITY;
  /** Since when its own work is too much, with breaks that are shorter than `STAYS_LATE`; NaN: it is not. */
  #tooMuchSince = Number.NaN;
  #tooMuchAt = Number.NEGATIVE_INFINITY;
  /** When it was last late, or somebody had to wait. */
  #hardAt = Number.NEGATIVE_INFINITY;
  /** Milliseconds of work, while there was too much, that `#rate` and `#delay` come from; up to `MEASURED_OVER`. */
  #known = 0;
  /** Requests begun per millisecond of it, and how late it made the loop, in milliseconds. */
  #rate = 0;
  #delay = 0;

  /** `begin` must not throw. `hasLittle`: of all that is under way, with the request that is asked about; asked only where there is no room. */
  constructor(loop: EventLoop, begin: (item: T) => void, hasLittle: (tenant: string) => boolean) {
    this.#loop = loop;
    this.#begin = begin;
    this.#hasLittle = hasLittle;
    this.#measuredAt = loop.clock.now();
  }

  /** That wait to be begun. */
  get waiting(): number {
    return this.#queue.length;
  }

  /** Begins a request, or has it wait for that. False: there is no room for it. `weight`: as `requestWeight` says. */
  enter(tenant: string, item: T, weight: number): boolean {
    if (!this.#isLate) {
      this.#begun++;
      this.#begin(item);
      return true;
    }
    if (!this.hasRoom(tenant)) return false;
    this.#queue.add(tenant, item, weight);
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
    const { length, weight, tenantsWaiting: tenants } = this.#queue;
    const room = this.#room();
    if (length >= room && tenants >= this.#roomForTenants()) return false;
    const isFull = length >= room && this.#queue.waitingOf(tenant) * (tenants + 1) >= room;
    const isHeavy =
      this.#isStanding &&
      weight >= STANDING_WEIGHT &&
      this.#queue.weightOf(tenant) * (tenants + 1) >= STANDING_WEIGHT;
    return !(isFull || isHeavy) || this.#hasLittle(tenant);
  }

  /** It entered with that weight, has not been begun, and is not to be any more. */
  leave(tenant: string, item: T, weight: number): void {
    this.#queue.leave(tenant, item, weight);
  }

  /** A client has connected: there may be more of them, who have not been let in yet. */
  connected(): void {
    this.#hasConnected = true;
  }

  /** A request of that weight was refused, for whatever reason: that takes time as well. */
  refused(weight: number): void {
    this.#refusing += REFUSAL * weight;
  }

  /** How late the loop is now. To be called again and again, whether it is or not. */
  measured(lateMs: number): void {
    const now = this.#loop.clock.now();
    const isHard = lateMs >= LATE || this.#queue.length > 0;
    const asks = isHard || this.#isLate;
    const worked = asks ? this.#loop.worked() : Number.NaN;
    this.#idle = asks ? this.#loop.idle() : Number.NaN;
    // It may well be late, and cold, by what others do to it: who waits for something to do has time for whatever comes.
    if (this.#idle - this.#idleBefore > IDLE) this.#tooMuchSince = Number.NaN;
    else if (now - this.#idleSince >= STANDING) this.#lookAtIdleness(now);
    if (isHard) {
      this.#isLate = true;
      this.#hardAt = now;
      this.#learn(worked - this.#worked, lateMs);
    } else if (this.#isLate && now - this.#hardAt > STAYS_LATE) this.#isOnTime();
    this.#measuredAt = now;
    this.#worked = worked;
    this.#begun = 0;
    this.#refusing = 0;
  }

  #lookAtIdleness(now: number): void {
    this.#idleBefore = this.#idle;
    this.#idleSince = now;
  }

  #isOnTime(): void {
    this.#isLate = false;
    this.#tooMuchSince = Number.NaN;
    this.#known = 0;
    this.#rate = 0;
    this.#delay = 0;
  }

  /**
   * At first plain averages, later those of the last `MEASURED_OVER` milliseconds, the latest counting most. Of work, not of time: what the
   * processor does for others makes everybody wait, but refusals would not bring it back. Nor would they bring back what refusals take.
   */
  #learn(worked: number, lateMs: number): void {
    if (!(worked > 0)) return;
    const counted = Math.min(worked, MOST_AT_ONCE);
    this.#known = Math.min(this.#known + counted, MEASURED_OVER);
    const weight = counted / this.#known;
    this.#rate += weight * (this.#begun / worked - this.#rate);
    const ownLate = Math.max(0, Math.min(lateMs, worked) - this.#refusing);
    this.#delay += weight * (ownLate - this.#delay);
    const now = this.#loop.clock.now();
    if (ownLate >= LATE || this.#queue.length >= this.#standingRoom() / 2) {
      if (Number.isNaN(this.#tooMuchSince)) {
        this.#tooMuchSince = now;
        this.#lookAtIdleness(now);
      }
      this.#tooMuchAt = now;
    } else if (now - this.#tooMuchAt > STAYS_LATE) this.#tooMuchSince = Number.NaN;
  }

  get #isStanding(): boolean {
    return this.#measuredAt - this.#tooMuchSince > STANDING;
  }

  /** How many may wait. */
  #room(): number {
    return this.#isStanding ? this.#standingRoom() : BURST;
  }

  #standingRoom(): number {
    const inTime = this.#rate * (STANDING_WAIT - DELAY_WEIGHT * this.#delay);
    return Math.max(LEAST_ROOM, Math.min(inTime, STANDING_BURST));
  }

  /** How many tenants may, with a request each if there are so many. That the loop is late may be the doing of one of them, and is not counted. */
  #roomForTenants(): number {
    if (!this.#isStanding) return BURST;
    return Math.max(LEAST_ROOM, Math.min(this.#rate * STANDING_WAIT, STANDING_BURST));
  }

  readonly #turn = (): void => {
    if (this.#hasConnected && ++this.#looks < LOOKS) {
      this.#hasConnected = false;
      this.#loop.nextTurn(this.#turn);
      return;
    }
    this.#looks = 0;
    this.#hasConnected = false;
    const now = this.#loop.clock.now();
    this.#turnEnds = now + Math.max(TURN, SHARE * (now - this.#turnedAt));
    this.#turnedAt = now;
    this.#begunInTurn = 0;
    this.#next();
  };

  /** Begins one, and comes back when what it could do at once is done. */
  readonly #next = (): void => {
    const now = this.#loop.clock.now();
    if (!Number.isNaN(this.#beganAt)) {
      // A tenant is not to pay for others who had the processor meanwhile.
      const work = Math.min(now - this.#beganAt, this.#loop.worked() - this.#beganWork);
      const ofAll = this.#queue.servedWeight < LARGE_WEIGHT ? 1 : OF_LARGE;
      this.#queue.charge(Math.max(LEAST_CHARGE, work * ofAll));
      this.#beganAt = Number.NaN;
    }
    const item = this.#hasTime(now) ? this.#queue.take(now) : null;
    if (item === null) {
      this.#turning = this.#queue.length > 0;
      if (this.#turning) this.#loop.nextTurn(this.#turn);
      return;
    }
    // Where there is only one it takes nobody's time, and is not measured: it has had its turn, so that whoever comes newly is the next.
    if (this.#queue.tenants > 1) {
      this.#beganAt = now;
      this.#beganWork = this.#loop.worked();
    } else this.#queue.charge(QUANTUM);
    this.#begun++;
    this.#begunInTurn++;
    this.#begin(item);
    this.#loop.settled(this.#next);
  };

  /** Is there time for another one in this turn? */
  #hasTime(now: number): boolean {
    return now < this.#turnEnds || (this.#begunInTurn < IN_STEP && now < this.#turnedAt + IN_STEP_TURN);
  }
}
