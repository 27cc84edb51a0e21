import { ApiError, LONGEST_CLIENT_WAIT } from '../core/errors.ts';
import { dollars } from '../core/usage.ts';
import { DIMENSIONS } from './dimensions.ts';
import { type Asked, formatReset, rateLimitHeaders, remaining } from './headers.ts';
import type { Limit } from './limits.ts';
import type { Demand, Standing } from './store.ts';

/** When a place among the concurrent ones is free, nobody knows; worth a try. Milliseconds. */
const NEXT_PLACE = 1000;

/** A demand that did not fit. */
interface Refused {
  demand: Demand;
  standing: Standing;
  /** Milliseconds; Infinity: never. */
  wait: number;
}

export interface Refusal {
  error: ApiError;
  /** The quota that the client is told of. */
  limit: Limit;
}

/** What a refusal is worded with. */
interface Circumstances {
  /** Now, in milliseconds since 1970. */
  wall: number;
  /** Tokens that the answer was taken to have, because the client named no maximum; null: it did. */
  assumed: number | null;
  /** What the client's dialect calls the maximum. */
  maximum: string;
}

/** What a client is told whose request did not fit: of the quotas that refused it, the one that takes longest to have room. */
export function refusal(asked: Asked, { wall, assumed, maximum }: Circumstances): Refusal {
  const worst = longestWait(asked);
  const { limit, amount } = worst.demand;
  const { of, per } = limit;
  const never = worst.wait === Infinity;
  const isBudget = of === 'usd' || per === 'day' || per === 'month';
  const message = `${never ? neverFits(limit, amount) : usedUp(worst, wall)}${hint(limit, { assumed, maximum }, never)}`;
  const error = new ApiError(isBudget ? 'insufficient_quota' : 'rate_limit_exceeded', message, {
    type: isBudget ? 'insufficient_quota' : DIMENSIONS[of].errorType,
    retryAfterMs: never ? null : Math.max(1, worst.wait),
    shouldRetry: never || isBudget || worst.wait > LONGEST_CLIENT_WAIT ? false : null,
    headers: rateLimitHeaders(asked),
  });
  return { error, limit };
}

function longestWait({ demands, standings }: Asked): Refused {
  let worst: Refused | null = null;
  for (const [index, demand] of demands.entries()) {
    const standing = standings[index] as Standing;
    if (standing.roomIn === 0) continue;
    const isPlace = DIMENSIONS[demand.limit.of].booking === 'hold' && demand.amount <= demand.limit.max;
    const wait = standing.roomIn ?? (isPlace ? NEXT_PLACE : Infinity);
    if (worst === null || wait > worst.wait) worst = { demand, standing, wait };
  }
  if (worst === null) throw new Error('refused, though every demand fits');
  return worst;
}

/** "1000000 tokens per hour for this tenant (models: smart, premium)" */
function describeLimit({ of, per, max, scope, models }: Limit): string {
  const narrowed = models === null ? '' : ` (models: ${[...models].join(', ')})`;
  return `${counted(of, max)}${per === null ? '' : ` per ${per}`} for this ${scope}${narrowed}`;
}

/** "1 token", "0.0005 US dollars". */
function counted(of: Limit['of'], amount: number): string {
  const { words, scale } = DIMENSIONS[of];
  return `${written(of, amount)} ${amount === scale ? words.replace(/s\b/, '') : words}`;
}

/** In the units of the configuration. */
function written(of: Limit['of'], amount: number): string {
  return of === 'usd' ? dollars(amount) : String(amount);
}

function neverFits(limit: Limit, amount: number): string {
  if (limit.max === 0) return `The quota admits nothing: ${describeLimit(limit)}.`;
  return `This request may take ${counted(limit.of, amount)}, which the quota never admits: ${describeLimit(limit)}.`;
}

/** What the client can do to need less. */
function hint(
  { of, max }: Limit,
  { assumed, maximum }: Pick<Circumstances, 'assumed' | 'maximum'>,
  never: boolean,
): string {
  if (max === 0 || DIMENSIONS[of].booking !== 'reserve') return '';
  if (of === 'input_tokens') return never ? ' Shorten the prompt.' : '';
  if (assumed !== null) {
    return ` It names no maximum, so an answer of ${assumed} tokens is assumed: set ${maximum}.`;
  }
  if (!never) return '';
  return of === 'output_tokens'
    ? ` Ask for less with ${maximum}.`
    : ` Shorten the prompt, or ask for less with ${maximum}.`;
}

function usedUp({ demand: { limit, amount }, standing, wait }: Refused, wall: number): string {
  const { of } = limit;
  if (of === 'concurrent') {
    return `Quota reached: ${describeLimit(limit)}. Try again when one of them has ended.`;
  }
  const left = remaining({ limit, standing });
  const share = standing.share ?? limit.max;
  const ofShare =
    share < limit.max
      ? ` of the ${written(of, share)} that one gateway gives out by itself while the count of all is out of reach`
      : '';
  const taken =
    standing.reserved > 0
      ? `, of which ${written(of, standing.reserved)} are held by requests under way`
      : '';
  const needs = DIMENSIONS[of].booking === 'reserve' ? ` This request may take ${written(of, amount)};` : '';
  const when =
    share < limit.max
      ? `Try again in ${formatReset(wait)}.`
      : `There is room again in ${formatReset(wait)}, at ${new Date(wall + wait).toISOString()}.`;
  return `Quota reached: ${describeLimit(limit)}.${needs} ${needs === '' ? 'L' : 'l'}eft: ${written(of, left)}${ofShare} (taken: ${written(of, standing.used + standing.reserved)}${taken}). ${when}`;
}
