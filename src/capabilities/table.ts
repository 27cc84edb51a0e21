import { ModelTable } from '../core/model-table.ts';
import { type ModelCapabilities, NOTHING_KNOWN } from './capabilities.ts';
import type { CapabilityTable } from './settings.ts';

/** What is known of all models of a configuration. */
export class Capabilities {
  /** Entries of all tables. */
  readonly size: number;
  readonly #tables: readonly ModelTable<ModelCapabilities>[];

  /** What the first table has on a model is all that counts of it. */
  constructor(tables: readonly CapabilityTable[]) {
    this.size = tables.reduce((sum, { entries }) => sum + entries.length, 0);
    this.#tables = tables.map(({ spellings, entries }) => new ModelTable(spellings, entries));
  }

  /** By the name that the provider is asked for. */
  find(provider: string, model: string): ModelCapabilities {
    return this.#search(provider, model) ?? NOTHING_KNOWN;
  }

  /** Is there an entry for it, or for such names? */
  knows(provider: string, model: string): boolean {
    return this.#search(provider, model) !== null;
  }

  /** Is it what a table says that the first one extends? */
  isExtended(provider: string, model: string): boolean {
    const [first, ...others] = this.#tables;
    if (first === undefined || first.find(provider, model) !== null) return false;
    return others.some((table) => table.find(provider, model) !== null);
  }

  #search(provider: string, model: string): ModelCapabilities | null {
    for (const table of this.#tables) {
      const found = table.find(provider, model);
      if (found !== null) return found;
    }
    return null;
  }
}
