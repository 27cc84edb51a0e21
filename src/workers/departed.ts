import {
  aggregated,
  inPieces,
  onlyGrowing,
  type Told,
  tenantsIn,
  withoutTenants,
} from '../accounting/aggregate.ts';
import { othersTurn } from '../core/turns.ts';

/** Of tenants that a worker is asked for, those that there are not; null: it cannot know. */
export type Missing = readonly string[] | null;

/** The tenant of requests whose key is not known: it is never gone. */
const NOBODY = 'unknown';

/**
 * What workers that died had told last, as far as it only grows: it stays in the sums. Workers may die at any time; one scrape at a time
 * does the rest.
 */
export class Departed {
  /** Of those who died since it was added up. */
  readonly #lately: Told[][] = [];
  #sum: readonly Told[] = [];
  /** That have series in the sum. */
  #tenants: ReadonlySet<string> = new Set();
  /** Tenants that were not there any more at the last scrape. */
  #gone: ReadonlySet<string> = new Set();

  died(told: readonly Told[]): void {
    this.#lately.push(onlyGrowing(told));
  }

  /** All of it as it is at this moment. */
  get told(): (readonly Told[])[] {
    return [this.#sum, ...this.#lately];
  }

  /** Whose series are kept of those that were added up. */
  get tenants(): ReadonlySet<string> {
    return this.#tenants;
  }

  /** So that what is kept does not become more with each death. */
  async addUp(): Promise<void> {
    const dead = [...this.#lately];
    if (dead.length === 0) return;
    await this.#keep(inPieces(aggregated([this.#sum, ...dead])));
    this.#lately.splice(0, dead.length);
  }

  /**
   * Drops the series of tenants that are gone, at the second scrape that finds them so, as each worker does with its own (`Book`). They
   * are gone where everybody who answered says so, and can know: a worker that began while the store was away has not heard of any.
   */
  async forget(said: readonly Missing[]): Promise<void> {
    const missing = [...this.#tenants].filter(isMissingFor(said));
    const gone = new Set(missing.filter((tenant) => this.#gone.has(tenant)));
    this.#gone = new Set(missing.filter((tenant) => !gone.has(tenant)));
    if (gone.size > 0) await this.#keep(without(this.#sum, gone));
  }

  async #keep(pieces: AsyncIterable<Told[]> | Iterable<Told[]>): Promise<void> {
    const sum: Told[] = [];
    const tenants = new Set<string>();
    for await (const piece of pieces) {
      sum.push(...piece);
      for (const tenant of piece.flatMap((told) => [...tenantsIn(told)])) tenants.add(tenant);
      await othersTurn();
    }
    tenants.delete(NOBODY);
    this.#sum = sum;
    this.#tenants = tenants;
  }
}

function isMissingFor(said: readonly Missing[]): (tenant: string) => boolean {
  const missing = said.map((one) => new Set(one ?? []));
  return (tenant) => missing.length > 0 && missing.every((one) => one.has(tenant));
}

function* without(sum: readonly Told[], tenants: ReadonlySet<string>): Generator<Told[]> {
  for (const told of sum) yield [withoutTenants(told, tenants)];
}
