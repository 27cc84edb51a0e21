import { DIMENSIONS } from '../../src/quota/dimensions.ts';
import { LEDGER_SUMS, type LedgerEntry, type LedgerRow } from '../../src/quota/ledger.ts';
import type { Limit } from '../../src/quota/limits.ts';
import type { Period } from '../../src/quota/periods.ts';
import type { Demand, Standing } from '../../src/quota/store.ts';

/** Milliseconds of the periods that slide. */
const STRETCHES: Readonly<Partial<Record<Period, number>>> = {
  second: 1_000,
  minute: 60_000,
  hour: 3_600_000,
};

/** What one request took of one limit. Kept for ever, with the time to the millisecond. */
interface Taken {
  tenant: string;
  limit: Limit;
  /** Of the request. */
  id: string;
  /** Which gateway it was admitted by. */
  gateway: number;
  at: number;
  used: number;
  reserved: number;
}

/**
 * What a store should do, by the plainest means: every amount by itself, and sums over all of them at each question. Shares nothing
 * with the stores but the table of dimensions.
 */
export class ExactModel {
  readonly #taken: Taken[] = [];
  readonly #held = new Map<string, { tenant: string; at: number }>();
  readonly #ledger: LedgerRow[] = [];

  admit(tenant: string, id: string, demands: readonly Demand[], now: number, gateway: number) {
    const limits = demands.map(({ limit }) => limit);
    if (!this.#held.has(id)) {
      const rooms = demands.map((demand) => this.#roomIn(tenant, demand, now));
      if (rooms.some((room) => room !== 0)) {
        const standings = this.standings(tenant, limits, now);
        return {
          kind: 'refused',
          standings: standings.map((one, i) => ({ ...one, roomIn: rooms[i] ?? null })),
        };
      }
      for (const { limit, amount } of demands) {
        const [used, reserved] = DIMENSIONS[limit.of].booking === 'count' ? [amount, 0] : [0, amount];
        this.#taken.push({ tenant, limit, id, gateway, at: now, used, reserved });
      }
      this.#held.set(id, { tenant, at: now });
    }
    return { kind: 'admitted', standings: this.standings(tenant, limits, now) };
  }

  /** `used` by the demands of the request, in their order. */
  settle(id: string, used: readonly number[], ledger: readonly LedgerEntry[]): void {
    const request = this.#held.get(id);
    if (request === undefined) return;
    this.#held.delete(id);
    for (const [i, taken] of this.#taken.filter((one) => one.id === id).entries()) {
      taken.reserved = 0;
      if (DIMENSIONS[taken.limit.of].booking === 'reserve') taken.used = used[i] ?? 0;
    }
    this.#book(request.tenant, request.at, ledger);
  }

  /** A request that no store admitted. */
  charge(
    tenant: string,
    demands: readonly Demand[],
    used: readonly number[],
    at: number,
    ledger: readonly LedgerEntry[],
  ): void {
    for (const [i, { limit, amount }] of demands.entries()) {
      const { booking } = DIMENSIONS[limit.of];
      const charged = booking === 'count' ? amount : booking === 'reserve' ? (used[i] ?? 0) : 0;
      this.#taken.push({ tenant, limit, id: '', gateway: -1, at, used: charged, reserved: 0 });
    }
    this.#book(tenant, at, ledger);
  }

  /** Its lease is over: what it holds is free, what it counted stays. */
  giveBack(gateway: number): void {
    for (const taken of this.#taken) {
      if (taken.gateway !== gateway || !this.#held.has(taken.id)) continue;
      taken.reserved = 0;
    }
    for (const { id, gateway: of } of this.#taken) if (of === gateway) this.#held.delete(id);
  }

  standings(tenant: string, limits: readonly Limit[], now: number): Standing[] {
    return limits.map((limit) => {
      const counting = this.#counting(tenant, limit, now);
      const back = counting
        .filter((one) => one.used + one.reserved > 0)
        .map((one) => freeAt(limit.per, one.at));
      return {
        used: counting.reduce((sum, { used }) => sum + used, 0),
        reserved: counting.reduce((sum, { reserved }) => sum + reserved, 0),
        roomIn: 0,
        resetsIn: limit.per === null ? null : Math.max(now, ...back) - now,
      };
    });
  }

  /**
   * What was taken of a limit in the `stretches` before `now`, of those that slide; else in the same day or month, or is held now.
   * Knows nothing of parts.
   */
  takenWithin(tenant: string, { id, per }: Limit, stretches: number, now: number): number {
    const stretch = per === null ? undefined : STRETCHES[per];
    const calendar = (at: number) => new Date(at).toISOString().slice(0, per === 'month' ? 7 : 10);
    return this.#taken
      .filter((one) => one.tenant === tenant && one.limit.id === id && one.at <= now)
      .filter(({ at }) => {
        if (stretch !== undefined) return at > now - stretch * stretches;
        return per === null || calendar(at) === calendar(now);
      })
      .reduce((sum, { used, reserved }) => sum + used + reserved, 0);
  }

  /** When something of what counts now comes back, earliest first. */
  edges(now: number): number[] {
    const times = this.#taken.map(({ limit, at }) => freeAt(limit.per, at));
    return [...new Set(times)].filter((at) => at > now && at < Infinity).sort((a, b) => a - b);
  }

  ledger(tenant: string): LedgerRow[] {
    return this.#ledger.filter((row) => row.tenant === tenant);
  }

  #counting(tenant: string, { id, per }: Limit, now: number): Taken[] {
    return this.#taken.filter(
      (one) => one.tenant === tenant && one.limit.id === id && now < freeAt(per, one.at),
    );
  }

  #roomIn(tenant: string, { limit, amount }: Demand, now: number): number | null {
    const counting = this.#counting(tenant, limit, now);
    const fitsAt = (time: number) => {
      const left = counting.filter(({ at }) => time < freeAt(limit.per, at));
      return left.reduce((sum, { used, reserved }) => sum + used + reserved, amount) <= limit.max;
    };
    const times = [now, ...counting.map(({ at }) => freeAt(limit.per, at))].sort((a, b) => a - b);
    const time = times.find((at) => at < Infinity && fitsAt(at));
    return time === undefined ? null : time - now;
  }

  #book(tenant: string, at: number, entries: readonly LedgerEntry[]): void {
    const day = new Date(at).toISOString().slice(0, 10);
    for (const { key, model, target, sums } of entries) {
      const row = this.#ledger.find(
        (one) =>
          one.day === day &&
          one.tenant === tenant &&
          one.key === key &&
          one.model === model &&
          one.target === target,
      );
      if (row === undefined) this.#ledger.push({ day, tenant, key, model, target, sums: { ...sums } });
      else for (const name of LEDGER_SUMS) row.sums[name] += sums[name];
    }
  }
}

/** From when what is taken at `at` no longer counts, by the contract's words. */
function freeAt(per: Period | null, at: number): number {
  if (per === null) return Infinity;
  const stretch = STRETCHES[per];
  if (stretch !== undefined) {
    const part = stretch / 20;
    return at - (at % part) + part + stretch;
  }
  const inside = (time: number) => {
    const length = per === 'month' ? 7 : 10;
    return new Date(time).toISOString().slice(0, length) === new Date(at).toISOString().slice(0, length);
  };
  let midnight = at - (at % 86_400_000);
  while (inside(midnight)) midnight += 86_400_000;
  return midnight;
}
