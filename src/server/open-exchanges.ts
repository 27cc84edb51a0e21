import type { Socket } from 'node:net';
import type { HttpExchange } from './http-exchange.ts';

/**
 * The exchanges under way. A Set would do, were it not for the tables that it leaves behind as it is filled and emptied: each points to
 * the next, which keeps every request of the last seconds in memory until a full collection.
 */
export class OpenExchanges {
  readonly #list: HttpExchange[] = [];
  #waiting: (() => void)[] = [];

  get count(): number {
    return this.#list.length;
  }

  add(exchange: HttpExchange): void {
    exchange.slot = this.#list.length;
    this.#list.push(exchange);
  }

  /** The last one takes the place of the one that goes. */
  remove(exchange: HttpExchange): void {
    const { slot } = exchange;
    if (slot < 0) return;
    exchange.slot = -1;
    const last = this.#list.pop();
    if (last !== undefined && last !== exchange) {
      this.#list[slot] = last;
      last.slot = slot;
    }
    if (this.#list.length > 0 || this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  /** Is any of them on that connection? */
  areOn(socket: Socket): boolean {
    return this.#list.some((exchange) => exchange.isOn(socket));
  }

  /** Resolves when none is under way. */
  over(): Promise<void> {
    return this.#list.length === 0
      ? Promise.resolve()
      : new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** How many each tenant has that has any. */
  byTenant(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { principal } of this.#list) {
      const tenant = principal?.tenant.id;
      if (tenant !== undefined) counts.set(tenant, (counts.get(tenant) ?? 0) + 1);
    }
    return counts;
  }

  /** As they are now, whatever happens to them next. */
  all(): HttpExchange[] {
    return [...this.#list];
  }
}
