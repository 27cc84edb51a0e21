import type { Clock } from '../../core/clock.ts';
import type { StateClient } from '../../state/client.ts';
import type { Keys } from './keys.ts';
import { SCRIPTS } from './scripts.ts';

const DAY = 86_400_000;

/** After this it is said again, should Redis have lost it. Milliseconds. */
const AGAIN = 10 * 60_000;

/** Days that are remembered: today, yesterday's stragglers, and one for an odd clock. */
const DAYS = 3;

/** Which tenants have a ledger of which day: what reads all of them asks here instead of searching through Redis. */
export class DayIndex {
  readonly #client: StateClient;
  readonly #clock: Clock;
  readonly #keys: Keys;
  readonly #ledgerDays: number;
  /** By day and tenant: when it was last said. In the clock's monotonic milliseconds. */
  readonly #said = new Map<string, Map<string, number>>();

  constructor(client: StateClient, clock: Clock, keys: Keys, ledgerDays: number) {
    this.#client = client;
    this.#clock = clock;
    this.#keys = keys;
    this.#ledgerDays = ledgerDays;
  }

  /** Was it said lately? */
  has(day: string, tenant: string): boolean {
    const said = this.#said.get(day)?.get(tenant);
    return said !== undefined && this.#clock.now() - said < AGAIN;
  }

  /** `now`: by the store's time. Rejects with StateUnavailable. */
  async add(day: string, tenant: string, now: number): Promise<void> {
    // The slot is another one than the tenant's: its node may be away while the tenant's is not.
    const left = Math.max(1, Date.parse(day) + (this.#ledgerDays + 1) * DAY - now);
    await this.#client.run(SCRIPTS.index, [this.#keys.tenants(day)], [tenant, left]);
    let tenants = this.#said.get(day);
    if (tenants === undefined) {
      tenants = new Map();
      this.#said.set(day, tenants);
      for (const oldest of this.#said.keys()) if (this.#said.size > DAYS) this.#said.delete(oldest);
    }
    tenants.set(tenant, this.#clock.now());
  }

  async tenants(day: string): Promise<string[]> {
    return (await this.#client.command('SMEMBERS', this.#keys.tenants(day))) as string[];
  }
}
