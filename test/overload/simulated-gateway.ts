import { Gate } from '../../src/overload/gate.ts';
import { LoopDelay } from '../../src/overload/loop-delay.ts';
import { SimulatedLoop } from './simulated-loop.ts';

/** What the parts of a request take. Milliseconds of the loop's time. */
export const COST = { reading: 0.015, beginning: 0.035, answering: 0.05, refusing: 0.01 };
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
  asking: Asking;
  at: number;
}

/** A gateway with the gate, and nothing else of what it is; all costs are those of `COST`. `gated: false`: everything is begun at once. */
export class SimulatedGateway {
  readonly loop = new SimulatedLoop();
  readonly seen: Seen[] = [];
  readonly late: { at: number; ms: number }[] = [];
  readonly #start: number;
  readonly #gated: boolean;
  readonly #gate: Gate<Request>;

  constructor({ gated = true } = {}) {
    const { loop } = this;
    this.#gated = gated;
    this.#gate = new Gate<Request>(loop, (request) => this.#begin(request));
    this.#start = loop.clock.now();
    new LoopDelay(loop.clock, (ms) => {
      this.late.push({ at: this.#now, ms });
      if (gated) this.#gate.measured(ms);
    }).start();
  }

  get waiting(): number {
    return this.#gate.waiting;
  }

  asks(asking: Asking): void {
    const { rate, from = 0, until } = asking;
    for (let n = 0, at = from; at < until; at = from + ++n / rate) {
      const arrival = at;
      this.loop.at(this.#start + arrival, () => this.#arrived({ asking, at: arrival }));
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

  #arrived(request: Request): void {
    const { tenant } = request.asking;
    this.loop.work(COST.reading);
    if (!this.#gated) this.#begin(request);
    else if (!this.#gate.hasRoom(tenant) || !this.#gate.enter(tenant, request)) {
      this.loop.work(COST.refusing);
      this.#gate.refused(0);
      this.#over(request, true);
    }
  }

  #begin(request: Request): void {
    const { beginning = COST.beginning, upstream = 0, events = 1 } = request.asking;
    this.loop.work(beginning);
    this.#answers(request, upstream, events);
  }

  #answers(request: Request, upstream: number, left: number): void {
    this.loop.at(this.loop.clock.now() + upstream, () => {
      this.loop.work(COST.answering);
      if (left > 1) this.#answers(request, upstream, left - 1);
      else this.#over(request, false);
    });
  }

  #over({ asking, at }: Request, refused: boolean): void {
    this.seen.push({ tenant: asking.tenant, at, ms: this.#now - at, refused });
    const again = this.#again.get(asking.tenant);
    if (again !== undefined && this.#now < again.until) {
      const now = this.#now;
      this.loop.at(this.loop.clock.now() + 0.2, () => this.#arrived({ asking: again, at: now + 0.2 }));
    }
  }
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
