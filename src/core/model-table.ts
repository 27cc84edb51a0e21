import { LONGEST_NAME, Names } from './model-names.ts';

/** Clients can make up names where `direct_models` is on: when that many are remembered, all are forgotten. */
export const MOST_REMEMBERED = 10_000;

/** What is known of some models. */
export interface NamedModels<T> {
  /** As upstreams are asked for them; `*` stands for any text, `#` for a digit. */
  names: readonly string[];
  /** Ids of the providers that it holds for; null = all. */
  providers: readonly string[] | null;
  value: T;
}

/** Finds what is known of a provider's model, whatever its name looks like there. */
export class ModelTable<T> {
  readonly #general: Names<T>;
  /** What holds for one provider only, and wins over what holds for all. */
  readonly #narrowed: ReadonlyMap<string, Names<T>>;
  readonly #found = new Map<string, Map<string, T | null>>();
  #remembered = 0;

  /** `spellings`: how hosts write names; `{}` stands for one without wildcards. */
  constructor(spellings: readonly string[], entries: readonly NamedModels<T>[]) {
    this.#general = new Names(
      spellings,
      entries.filter(({ providers }) => providers === null),
    );
    const byProvider = new Map<string, NamedModels<T>[]>();
    for (const entry of entries) {
      for (const provider of entry.providers ?? []) {
        const own = byProvider.get(provider);
        if (own === undefined) byProvider.set(provider, [entry]);
        else own.push(entry);
      }
    }
    this.#narrowed = new Map([...byProvider].map(([id, named]) => [id, new Names(spellings, named)]));
  }

  /** By the name that the provider is asked for; null if there is nothing. */
  find(provider: string, model: string): T | null {
    const known = this.#found.get(provider)?.get(model);
    return known === undefined ? this.#search(provider, model) : known;
  }

  /** Names that need not be searched again. */
  get remembered(): number {
    return [...this.#found.values()].reduce((sum, ofProvider) => sum + ofProvider.size, 0);
  }

  #search(provider: string, model: string): T | null {
    if (model.length > LONGEST_NAME) return null;
    const value = this.#narrowed.get(provider)?.find(model) ?? this.#general.find(model);
    if (this.#remembered >= MOST_REMEMBERED) {
      this.#found.clear();
      this.#remembered = 0;
    }
    let ofProvider = this.#found.get(provider);
    if (ofProvider === undefined) {
      ofProvider = new Map();
      this.#found.set(provider, ofProvider);
    }
    ofProvider.set(model, value);
    this.#remembered++;
    return value;
  }
}
