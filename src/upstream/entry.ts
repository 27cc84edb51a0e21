import type { Usage } from '../core/usage.ts';
import type { Output } from '../providers/openai/output.ts';
import type { CallContext } from './call.ts';
import type { Place, TokenCount } from './provider-limits.ts';
import type { Lane, Target } from './registry.ts';

/** Leave to make a try, as far as its provider's limits and the pace of its upstream go. */
export interface Entered {
  kind: 'entered';
  /** What it holds of the provider's limits; null: there are none. */
  place: Place | null;
  /** No try is made of it after all. */
  leave(): void;
}

export type Entry =
  | Entered
  /** There is no room. `readyInMs`: until there may be; null: nobody knows, or there never will be. */
  | { kind: 'full'; readyInMs: number | null; why: string }
  | { kind: 'cancelled' };

/** Nothing stands in the way. */
export const OPEN: Entered = { kind: 'entered', place: null, leave: () => {} };

/** Is there anything to ask before a try? */
export function mayHaveToWait({ limiter }: Target, { upstream }: Lane): boolean {
  return limiter !== null || upstream.pacer !== null;
}

/** Waits for the upstream's turn, then takes a place within the provider's limits. */
export async function enter(
  { limiter }: Target,
  { upstream }: Lane,
  context: CallContext,
  deadline: number,
): Promise<Entry> {
  const { clock, cancellation } = context;
  const { pacer } = upstream;
  const startedAt = clock.now();
  const wait = pacer?.turn(deadline - startedAt, cancellation) ?? null;
  if (wait !== null) {
    const turn = await wait;
    if ('cancelled' in turn) return { kind: 'cancelled' };
    if ('fullForMs' in turn) return { kind: 'full', readyInMs: turn.fullForMs, why: TOO_FAST };
    context.slept.push({ startedAt, ms: turn.waitedMs });
  }
  const givenAt = clock.now();
  if (limiter === null) return { kind: 'entered', place: null, leave: () => pacer?.giveBack(givenAt) };
  const want = limiter.countsTokens ? context.mayTake() : NOTHING;
  const place = await limiter.enter(want, context.newId());
  if ('fullForMs' in place) {
    pacer?.giveBack(givenAt);
    return { kind: 'full', readyInMs: place.fullForMs, why: place.why };
  }
  const leave = () => {
    place.leave(null);
    pacer?.giveBack(givenAt);
  };
  if (cancellation.reason === null) return { kind: 'entered', place, leave };
  leave();
  return { kind: 'cancelled' };
}

const NOTHING: TokenCount = { input: 0, output: 0 };
const TOO_FAST = 'it has refused requests as too many, and is asked less often for a while';

/** What is known of what an answer took. */
export interface Took {
  readonly usage: Usage | null;
  readonly passed: Readonly<Output> | (() => Readonly<Output>);
}

/** Of most languages and models, more or less. */
const CHARACTERS_A_TOKEN = 4;

/** What an answer took: by the provider's word, or else by what passed. */
export function tokensOf({ usage, passed }: Took, context: Pick<CallContext, 'mayTake'>): TokenCount {
  if (usage !== null && usage.input > 0) return { input: usage.input, output: usage.output };
  const { characters } = typeof passed === 'function' ? passed() : passed;
  return { input: context.mayTake().input, output: Math.ceil(characters / CHARACTERS_A_TOKEN) };
}
