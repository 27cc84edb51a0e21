import { Gate } from '../../src/overload/gate.ts';
import { InFlightShares } from '../../src/overload/in-flight-shares.ts';
import { LoopDelay } from '../../src/overload/loop-delay.ts';
import { requestWeight } from '../../src/overload/request-weight.ts';
import { type Connection, RestingConnections } from '../../src/overload/resting-connections.ts';
import { SimulatedLoop } from './simulated-loop.ts';

/** What the parts of a request take. Milliseconds of the loop's time. */
export const COST = {
  reading: 0.015,
  readingByte: 1e-6,
  beginning: 0.035,
  answering: 0.05,
  refusing: 0.01,
  connecting: 0.06,
};
/** Garbage is collected when so many requests have been answered. Those that wait or are under way then are moved: twice at most, for so long. Milliseconds. */
const COLLECTED_AFTER = 1000;
const MOVING = 0.01;
/** Requests a millisecond that the simulated gateway can carry. */
export const CAPACITY = 1 / (COST.reading + COST.beginning + COST.answering);

/** What a tenant asks for. */
export interface Asking {
  tenant: string;
  /** Requests a millisecond, evenly. */
  rate: number;
  from?: number;
  until: number;
  /** Milliseconds until the upstream answers. */
  upstream?: number;
  /** What beginning takes, where that is not the usual. */
  beginning?: number;
  /** Bytes of each body; none unless said. */
  body?: number;
  /** Others have the processor for so long while it is begun. */
  interrupted?: number;
  /** Each comes on a connection of its own. */
  anew?: true;
  /** A stream of so many events, one every `upstream` milliseconds. */
  events?: number;
}

export interface Seen {
  tenant: string;
  at: number;
  /** Milliseconds until the answer, or the refusal. */
  ms: number;
  refused: boolean;
}

interface Request {
  /** What it comes on. */
  connection: SimulatedConnection;
  asking: Asking;
  at: number;
}

/**
 * A gateway with the gate, and nothing else of what it is; all costs are those of `COST`, and of `MOVING` where it `collects`. `gated: false`:
 * everything is begun at once.
 */
export class SimulatedGateway {
  readonly loop = new SimulatedLoop();
  readonly seen: Seen[] = [];
  readonly late: { at: number; ms: number }[] = [];
  readonly #start: number;
  readonly #gated: boolean;
  readonly #collects: boolean;
  readonly #gate: Gate<Request>;
  readonly #shares = new InFlightShares(() => new Map(this.#counts));
  readonly #counts = new Map<string, number>();
  #underWay = 0;
  readonly #connections: RestingConnections;
  /** Since garbage was collected. */
  #answered = 0;

  constructor({ gated = true, collects = false } = {}) {
    const { loop } = this;
    this.#gated = gated;
    this.#collects = collects;
    this.#gate = new Gate<Request>(
      loop,
      (request) => this.#begin(request),
      (tenant) => this.#shares.hasLittle(tenant, this.#underWay),
    );
    this.#start = loop.clock.now();
    this.#connections = new RestingConnections(loop);
    new LoopDelay(loop.clock, (ms) => {
      this.late.push({ at: this.#now, ms });
      if (gated) this.#gate.measured(ms);
      this.#connections.move();
    }).start();
  }

  get waiting(): number {
    return this.#gate.waiting;
  }

  asks(asking: Asking): void {
    const { rate, from = 0, until } = asking;
    for (let n = 0, at = from; at < until; at = from + ++n / rate) {
      const arrival = at;
      if (asking.anew) this.#connects(asking, arrival);
      else
        this.loop.at(this.#start + arrival, () =>
          this.#arrives({ connection: new SimulatedConnection(), asking, at: arrival }),
        );
    }
  }

  /** So many clients, each asking again as soon as it has been answered or refused. */
  asksAgain(clients: number, asking: Asking): void {
    for (let n = 0; n < clients; n++) this.asks({ ...asking, rate: 1e-9 });
    this.#again.set(asking.tenant, asking);
  }

  readonly #again = new Map<string, Asking>();

  run(ms: number): void {
    this.loop.run(ms);
  }

  get #now(): number {
    return this.loop.clock.now() - this.#start;
  }

  /** Its request is there with the next look at the sockets. */
  #connects(asking: Asking, at: number): void {
    this.loop.connectAt(this.#start + at, () => {
      this.loop.work(COST.connecting);
      if (this.#gated) this.#gate.connected();
      this.loop.at(this.loop.clock.now(), () =>
        this.#arrives({ connection: new SimulatedConnection(), asking, at }),
      );
    });
  }

  /** A connection that is not read costs nothing; what has come on it is there as soon as it is. */
  #arrives(request: Request): void {
    request.connection.read(
      () => this.loop.at(this.loop.clock.now(), () => this.#arrived(request)),
      () => this.#arrived(request),
    );
  }

  #arrived(request: Request): void {
    const { tenant, body = 0 } = request.asking;
    const cost = requestWeight(body);
    this.loop.work(COST.reading + body * COST.readingByte);
    this.#connections.asked(request.connection, tenant);
    this.#counted(tenant, 1);
    if (!this.#gated) this.#begin(request);
    else if (!this.#gate.hasRoom(tenant) || !this.#gate.enter(tenant, request, cost)) {
      this.loop.work(COST.refusing);
      this.#gate.refused(cost);
      if (this.#connections.needsRest(request.connection, tenant, cost)) {
        this.#connections.rest(request.connection, cost);
      }
      this.#over(request, true);
    }
  }

  #collect(): void {
    if (!this.#collects || ++this.#answered < COLLECTED_AFTER) return;
    this.#answered = 0;
    this.loop.work(Math.min(this.#underWay, 2 * COLLECTED_AFTER) * MOVING);
  }

  #counted(tenant: string, change: 1 | -1): void {
    this.#underWay += change;
    this.#counts.set(tenant, (this.#counts.get(tenant) ?? 0) + change);
    if (this.#counts.get(tenant) === 0) this.#counts.delete(tenant);
  }

  #begin(request: Request): void {
    const { beginning = COST.beginning, interrupted = 0, upstream = 0, events = 1 } = request.asking;
    this.loop.work(beginning);
    this.loop.standStill(interrupted);
    this.#answers(request, upstream, events);
  }

  #answers(request: Request, upstream: number, left: number): void {
    this.loop.at(this.loop.clock.now() + upstream, () => {
      this.loop.work(COST.answering);
      if (left > 1) this.#answers(request, upstream, left - 1);
      else {
        this.#collect();
        this.#over(request, false);
      }
    });
  }

  #over({ connection, asking, at }: Request, refused: boolean): void {
    this.#counted(asking.tenant, -1);
    this.seen.push({ tenant: asking.tenant, at, ms: this.#now - at, refused });
    const again = this.#again.get(asking.tenant);
    if (again !== undefined && this.#now < again.until) {
      const now = this.#now;
      this.loop.at(this.loop.clock.now() + 0.2, () =>
        this.#arrives({ connection, asking: again, at: now + 0.2 }),
      );
    }
  }
}

/** On which one request comes at a time. */
class SimulatedConnection implements Connection {
  readonly destroyed = false;
  #isPaused = false;
  #came: (() => void) | null = null;

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#came?.();
    this.#came = null;
  }

  /** Calls `now` if it is read, else `later` as soon as it is. */
  read(later: () => void, now: () => void): void {
    if (this.#isPaused) this.#came = later;
    else now();
  }
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
