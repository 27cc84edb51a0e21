import type { Chance } from '../core/clock.ts';
import { ApiError } from '../core/errors.ts';

/** Why a request is refused: it would have to wait too long; the places for requests, or the memory for bodies, are taken. */
export type OverloadReason = 'delay' | 'in_flight' | 'bodies';

const MESSAGES: Readonly<Record<OverloadReason, string>> = {
  delay: 'This gateway has more requests than it can answer in time; try again shortly.',
  in_flight:
    'This gateway has as many requests under way as it may have, or nearly as many; try again shortly.',
  bodies: 'The requests under way take as much memory as there is for them; try again shortly.',
};

/** Clients are told to come back after this, and up to as long again, lest all come at the same moment. Milliseconds. */
const SHORTEST_WAIT = 1000;
const WAITS = 16;

/** A refusal that the load is the reason for. */
export class Overloaded extends ApiError {
  readonly reason: OverloadReason;

  constructor(reason: OverloadReason, retryAfterMs: number) {
    super('server_is_overloaded', MESSAGES[reason], { retryAfterMs });
    this.reason = reason;
  }
}

/** Refusals are made once, and given again and again: an error that is thrown away costs more than all the rest of refusing. */
export class Refusals {
  readonly #chance: Chance;
  readonly #unread: () => number;
  readonly #made: Readonly<Record<OverloadReason, readonly Overloaded[]>>;

  /** `unread`: for how long a connection may not be read after a refusal (milliseconds). Nobody is told to come back sooner, up to the longest wait. */
  constructor(chance: Chance, unread: () => number) {
    this.#chance = chance;
    this.#unread = unread;
    this.#made = { delay: variants('delay'), in_flight: variants('in_flight'), bodies: variants('bodies') };
  }

  of(reason: OverloadReason): Overloaded {
    const made = this.#made[reason];
    const first = Math.ceil(((this.#unread() - SHORTEST_WAIT) / SHORTEST_WAIT) * WAITS);
    const n = Math.min(Math.max(0, first), WAITS - 1);
    return made[n + Math.floor(this.#chance() * (WAITS - n))] as Overloaded;
  }
}

function variants(reason: OverloadReason): Overloaded[] {
  return Array.from({ length: WAITS }, (_, n) => {
    return new Overloaded(reason, SHORTEST_WAIT + Math.round((n * SHORTEST_WAIT) / WAITS));
  });
}
