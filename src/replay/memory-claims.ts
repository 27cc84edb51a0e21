import type { Clock } from '../core/clock.ts';
import { type Claim, type Claimed, type Claims, type Wanted, wantedOf, wantedOfLarge } from './claims.ts';
import type { KeptAnswer } from './kept-answer.ts';
import { type Here, KnownClaims } from './known-claims.ts';
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
    return this.#known.stateOf(wanted) ?? { kind: 'claimed', claim: new MemoryClaim(this.#known, wanted) };
  }

  async close(): Promise<void> {
    for (const here of [...this.#known.running()]) this.#known.end(here, null);
  }
}

class MemoryClaim implements Claim {
  readonly #known: KnownClaims;
  readonly #here: Here;

  constructor(known: KnownClaims, wanted: Wanted) {
    this.#known = known;
    this.#here = known.begin(wanted);
  }

  finish(answer: KeptAnswer, ttl: number): void {
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
