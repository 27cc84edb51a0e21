import type { EventLoop } from './event-loop.ts';
import { Fifo } from './fifo.ts';

/** About so long a connection is not read, less where few rest; for some seconds where many were sent to rest and some still are. No client is told to come back sooner. Milliseconds. */
const REST = 1000;
/** Where refusing all that rests again would take more than its part of the time, it rests for longer; but no longer than clients are told at most. Milliseconds. */
const LONGEST_REST = 2000;
/** That part: so many refusals in a millisecond, which take about a fortieth of it. */
const AGAIN = 0.5;
/** So many refusals in a millisecond cost next to nothing, */
const PACE = 0.5;
/** and so many at once, after a while with fewer. */
const AT_ONCE = 500;

/** No tenant's id: those are not empty. */
const SEVERAL = '';

/** What clients come on, as far as it matters here. */
export interface Connection {
  readonly destroyed: boolean;
  pause(): unknown;
  resume(): unknown;
}

/**
 * Where there are more than a few refusals, the connections that they were sent on are not read for a while. Who has heeded what it was told
 * does not notice. Who asks again at once waits where it costs nothing, in the kernel: a few hundred such clients would take all the time
 * that there is with nothing but their refusals. A connection that several tenants have asked on, as those of a proxy, never rests.
 */
export class RestingConnections {
  readonly #loop: EventLoop;
  /** Of connections that were to rest: whose requests have come on them. */
  readonly #tenants = new WeakMap<Connection, string>();
  readonly #resting = new Fifo<{ connection: Connection; cost: number }>();
  /** Of all that rest. */
  #cost = 0;
  /** Until when the last of them may. */
  #until = 0;
  #left = AT_ONCE;
  /** Before that it does not matter who asks on what. */
  #hasRested = false;
  #movedAt: number;

  constructor(loop: EventLoop) {
    this.#loop = loop;
    this.#movedAt = loop.clock.now();
  }

  get count(): number {
    return this.#resting.length;
  }

  /** About so long the last of those that rest now are not read yet. Milliseconds. */
  get unread(): number {
    return this.count === 0 ? 0 : Math.max(0, this.#until - this.#loop.clock.now());
  }

  /** A request of this tenant has come on it. Noted also when none rests any more: what waited on the last of them comes then. */
  asked(connection: Connection, tenant: string): void {
    if (!this.#hasRested) return;
    if ((this.#tenants.get(connection) ?? tenant) !== tenant) this.#tenants.set(connection, SEVERAL);
  }

  /** A request is refused, of this tenant if that is known, at this cost. Is its connection to rest when the answer has gone? */
  needsRest(connection: Connection, tenant: string | null, cost: number): boolean {
    if (this.#left >= cost) {
      this.#left -= cost;
      return false;
    }
    const asked = this.#tenants.get(connection) ?? tenant;
    if (tenant !== null) this.#tenants.set(connection, asked === tenant ? tenant : SEVERAL);
    return asked === tenant || (tenant === null && asked !== SEVERAL);
  }

  /**
   * It is not read from now on. The answer has gone, and all of the request has come: Node reads on after each of the two. Its next request is
   * expected to cost as much as the one that was refused.
   */
  rest(connection: Connection, cost: number): void {
    if (connection.destroyed) return;
    this.#cost += cost;
    this.#until = this.#loop.clock.now() + Math.max(REST, Math.min(this.#cost / AGAIN, LONGEST_REST));
    this.#hasRested = true;
    connection.pause();
    this.#resting.push({ connection, cost });
  }

  /**
   * Some are read again: evenly, so that all are when the last has rested for long enough. As many clients as that at once would keep the loop
   * busy with nothing else. To be called again and again.
   */
  move(): void {
    const now = this.#loop.clock.now();
    const passed = now - this.#movedAt;
    this.#movedAt = now;
    this.#left = Math.min(AT_ONCE, this.#left + passed * PACE);
    const share = passed / (passed + Math.max(0, this.#until - now));
    for (let due = Math.ceil(share * this.#resting.length); due > 0; due--) this.#readNext();
  }

  /** All are read again. Were there any? */
  wake(): boolean {
    const are = this.#resting.length > 0;
    while (this.#resting.length > 0) this.#readNext();
    return are;
  }

  #readNext(): void {
    const { connection, cost } = this.#resting.shift();
    this.#cost -= cost;
    connection.resume();
  }
}
