import type { Clock } from '../core/clock.ts';
import { type Claim, type Claimed, type Claims, type Wanted, wantedOf, wantedOfLarge } from './claims.ts';
import { KnownClaims } from './known-claims.ts';
import { Seal } from './seal.ts';

export interface MemoryClaimsOptions {
  clock: Clock;
  /** Of all answers together, as they lie in memory. Bytes. */
  maxBytes: number;
}

/** Of this process alone. It ends with it. */
export class MemoryClaims implements Claims {
  readonly #known: KnownClaims;
  readonly #seal = new Seal(null);

  constructor({ clock, maxBytes }: MemoryClaimsOptions) {
    this.#known = new KnownClaims(clock, maxBytes);
  }

  wanted(tenant: string, key: string, what: readonly (string | Buffer)[]): Wanted {
    return wantedOf(this.#seal, tenant, key, what);
  }

  wantedOfLarge(tenant: string, key: string, what: readonly (string | Buffer)[]): Promise<Wanted> {
    return wantedOfLarge(this.#seal, tenant, key, what);
  }

  async claim(wanted: Wanted): Promise<Claimed> {
    const known = knownTo(this.#known, wanted);
    if (known !== null) return known;
    return { kind: 'claimed', claim: new MemoryClaim(this.#known, wanted) };
  }

  async close(): Promise<void> {
    for (const here of [...this.#known.running()]) this.#known.end(here, null);
  }
}

/** What can be said without asking anybody else; null: nothing. */
export function knownTo(known: KnownClaims, { name, mark }: Wanted): Claimed | null {
  const here = known.runs(name);
  if (here !== null) {
    if (here.wanted.mark !== mark) return { kind: 'other_body' };
    // Nothing but its end ends it.
    return { kind: 'running', over: here.over, until: Number.POSITIVE_INFINITY };
  }
  const kept = known.kept(name);
  if (kept === null) return null;
  return kept.mark === mark ? { kind: 'done', answer: kept.answer } : { kind: 'other_body' };
}

class MemoryClaim implements Claim {
  readonly #known: KnownClaims;
  readonly #here;

  constructor(known: KnownClaims, wanted: Wanted) {
    this.#known = known;
    this.#here = known.begin(wanted);
  }

  finish(answer: Parameters<Claim['finish']>[0], ttl: number): void {
    if (!this.#runs) return;
    this.#known.keep(this.#here.wanted, answer, ttl);
    this.#known.end(this.#here, answer);
  }

  free(): void {
    if (this.#runs) this.#known.end(this.#here, null);
  }

  get #runs(): boolean {
    return this.#known.runs(this.#here.wanted.name) === this.#here;
  }
}
