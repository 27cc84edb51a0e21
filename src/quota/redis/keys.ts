import type { Period } from '../periods.ts';

/** Names of keys. All of a tenant share its hash tag, so that a cluster keeps them on one node. */
export class Keys {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  counters(tenant: string): string {
    return `${this.#prefix}:{${tenant}}:q`;
  }

  /** What one gateway holds for a tenant. */
  records(tenant: string, gateway: string): string {
    return `${this.#prefix}:{${tenant}}:r:${gateway}`;
  }

  /** The gateways that hold anything for a tenant. */
  leases(tenant: string): string {
    return `${this.#prefix}:{${tenant}}:g`;
  }

  /** A tenant's ledger of a day, in the open: for people, and for the tenant itself. */
  usage(tenant: string, day: string): string {
    return `${this.#prefix}:{${tenant}}:usage:${day}`;
  }

  /** The tenants that have a ledger of a day. No tenant can be called `!`. */
  tenants(day: string): string {
    return `${this.#prefix}:{!}:tenants:${day}`;
  }
}

/** Periods as the scripts know them: see `lua-parts.ts`. */
const NUMBERS: Readonly<Record<Period, number>> = {
  second: 1_000,
  minute: 60_000,
  hour: 3_600_000,
  day: 86_400_000,
  month: 1,
};

/** Of no period (`concurrent`): 0. */
export function numberOf(period: Period | null): number {
  return period === null ? 0 : NUMBERS[period];
}

/** An amount as the scripts take it: whole, not below nothing, and exact. What could never fit stays what could never fit. */
export function whole(amount: number): number {
  if (Number.isSafeInteger(amount) && amount >= 0) return amount;
  return amount > 0 ? Math.min(Math.ceil(amount), Number.MAX_SAFE_INTEGER) : 0;
}
