import { Counter } from './counter.ts';
import { DIMENSIONS } from './dimensions.ts';
import type { Limit } from './limits.ts';
import { Recent } from './outage-recent.ts';
import { partAt } from './periods.ts';
import type { Settlement, Standing, Ticket } from './store.ts';

/** Limits of a tenant that are remembered; more only where so many are in use at the same time. */
const LIMITS = 1_000;

/** What this process knows of a limit without asking Redis. */
export interface KnownLimit {
  /** Used and reserved when Redis last told, less what requests of this process have given back since. */
  taken: number;
  /** When it told, by its own clock. Milliseconds since 1970. */
  at: number;
  /** Places that requests of this process occupy in Redis, of a limit of places. */
  places: number;
  /** Redis has told it after all of earlier outages was written back: whatever was counted here is part of `taken`. */
  whole: boolean;
  /** What of `taken` is counted here as well. */
  seeds: Counter;
  /** Most gateways seen alive since this limit was first counted here. 0 = it is not. */
  gateways: number;
}

/** What this process knows of a tenant. Written on every admission: no more than a look-up and some numbers for each limit. */
export class KnownAccount {
  /** Let in here and not yet settled: the tickets of the store in this process, by the request's id. */
  readonly open = new Map<string, Ticket>();
  /** There may be something that was let in here and that Redis does not know of. */
  owing = false;
  /** Admissions tried here so far. */
  tried = 0;
  /** Waiting to hear that all is written. */
  asking = false;
  /** Of all limits. */
  #places = 0;
  readonly #limits = new Recent<KnownLimit>(LIMITS, ({ places }) => places > 0);

  /** Must not be forgotten yet. */
  get inUse(): boolean {
    return this.open.size > 0 || this.#places > 0;
  }

  of(limit: Limit): KnownLimit {
    const known = this.#limits.get(limit.id);
    if (known !== undefined) return known;
    const made = { taken: 0, at: 0, places: 0, whole: false, seeds: new Counter(limit.per), gateways: 0 };
    this.#limits.set(limit.id, made);
    return made;
  }

  /** Redis told how a limit stands. */
  told(limit: Limit, { used, reserved }: Standing, at: number): void {
    const known = this.of(limit);
    known.taken = used + reserved;
    known.at = at;
    if (!this.owing) known.whole = true;
  }

  /** A request was let in by Redis, which now holds a place for it. */
  occupied(limit: Limit, places: number): void {
    this.of(limit).places += places;
    this.#places += places;
  }

  /** A request that Redis let in is over. It may be told of it much later. */
  ended({ ticket, used }: Settlement): void {
    for (const [i, { limit, amount }] of ticket.demands.entries()) {
      const { booking } = DIMENSIONS[limit.of];
      if (booking === 'count') continue;
      const known = this.#limits.get(limit.id);
      if (known === undefined) continue;
      if (booking === 'hold') {
        const left = Math.min(amount, known.places);
        known.places -= left;
        this.#places -= left;
      } else if (partAt(limit.per, ticket.at).freeAt > known.at) {
        known.taken = Math.max(0, known.taken - amount + (used[i] ?? 0));
      }
    }
  }
}
