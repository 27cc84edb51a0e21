import type { KeptAnswer } from './kept-answer.ts';
import type { Seal } from './seal.ts';

/** What is asked of a client's key: by marks alone, which tell nothing of it. */
export interface Wanted {
  tenant: string;
  /** Of the client's key, among all of all tenants. */
  name: string;
  /** Of what is asked under it. Another one under the same name is another request. */
  mark: string;
}

/** What a request is known by that has an `Idempotency-Key`. `what`: of it, all that makes another request of it. */
export function wantedOf(
  seal: Seal,
  tenant: string,
  key: string,
  what: readonly (string | Buffer)[],
): Wanted {
  return { tenant, name: seal.mark('name', tenant, key), mark: seal.mark('what', tenant, key, ...what) };
}

/** The same, of a large request. */
export async function wantedOfLarge(
  seal: Seal,
  tenant: string,
  key: string,
  what: readonly (string | Buffer)[],
): Promise<Wanted> {
  const mark = await seal.markInSteps('what', tenant, key, ...what);
  return { tenant, name: seal.mark('name', tenant, key), mark };
}

export type Claimed =
  /** It is the caller's, who runs it and says how it ended. */
  | { kind: 'claimed'; claim: Claim }
  /** It has run, and this is how it was answered. */
  | { kind: 'done'; answer: KeptAnswer }
  /** The key was used for another request. */
  | { kind: 'other_body' }
  | Running;

/** Another request runs it. */
export interface Running {
  kind: 'running';
  /** It runs in this process: resolves when it has ended, to its answer, or to null if there is none to be kept. Null: it runs elsewhere. */
  over: Promise<KeptAnswer | null> | null;
  /** Unless it goes on, it ends then, by the clock. */
  until: number;
}

/** One request's right to run, until it says how it ended. What comes after the first word is of no account. Never throws. */
export interface Claim {
  /** Keeps the answer for so many milliseconds: whoever waits is given it, and whoever comes. */
  finish(answer: KeptAnswer, ttl: number): void;
  /** There is nothing to be kept: the next one runs. */
  free(): void;
}

/**
 * Who runs what clients asked for under an `Idempotency-Key`, and how that was answered. One contract, kept in this process
 * (`MemoryClaims`) and for all gateways (`RedisClaims`): nobody → somebody, who lives → an answer, or nobody again.
 */
export interface Claims {
  /** What is asked for under a client's key. Throws an ApiError where it cannot be promised that it runs once. */
  wanted(tenant: string, key: string, what: readonly (string | Buffer)[]): Wanted;
  /** The same for a large request, in steps between which others have their turn. */
  wantedOfLarge(tenant: string, key: string, what: readonly (string | Buffer)[]): Promise<Wanted>;
  /**
   * The first one to ask has it; the others are told how it stands, and may ask again. `elsewhere`: until when one that ran elsewhere has
   * it surely, as they were told; should Redis be away now, it is not given to anybody before. Rejects with StateUnavailable where
   * nothing may be done without Redis.
   */
  claim(wanted: Wanted, elsewhere?: number): Promise<Claimed>;
  /** Frees what still runs; resolves when all that was said is written, as far as it can be. */
  close(): Promise<void>;
}
