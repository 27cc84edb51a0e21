import { z } from 'zod';
import { choice, count, duration, mark } from '../schema/kit.ts';
import { DIMENSIONS, type Dimension } from './dimensions.ts';
import { PERIODS } from './periods.ts';
import type { QuotaDefaults, QuotaSettings } from './settings.ts';

/** A million dollars, a quadrillion tokens: higher ones are a slip of the pen, and sums of them would no longer be exact. */
const HIGHEST: Readonly<Partial<Record<Dimension, number>>> = { usd: 1_000_000 };
const HIGHEST_COUNT = 1e15;
/** Of a dollar limit: to a millionth of a cent. */
const SMALLEST_USD = 1e-8;

export const quotaSchema = z
  .strictObject({
    limit: mark(z.number().min(0).max(HIGHEST_COUNT), { form: 'number' }).describe('how much of it'),
    of: choice(Object.keys(DIMENSIONS) as [Dimension, ...Dimension[]]).describe('what is counted'),
    per: choice(PERIODS)
      .optional()
      .describe(
        'second, minute and hour slide; day and month are those of the calendar, UTC; `concurrent` has none',
      ),
    models: z
      .array(z.string())
      .min(1)
      .optional()
      .describe('counts only requests for these names, or for aliases of them; left out = all'),
  })
  .superRefine(({ limit, of, per }, context) => {
    const refuse = (key: 'limit' | 'per', expected: string) =>
      context.addIssue({ code: 'custom', path: [key], message: `expected ${expected}` });
    if (of === 'concurrent' && per !== undefined) {
      refuse('per', 'no `per` beside `concurrent`, which counts requests at a time');
    }
    if (of !== 'concurrent' && per === undefined) refuse('per', `one of ${PERIODS.join(', ')}`);
    const highest = HIGHEST[of] ?? HIGHEST_COUNT;
    if (of !== 'usd' && !Number.isInteger(limit)) refuse('limit', 'a whole number');
    else if (limit > highest) refuse('limit', `at most ${highest}`);
    else if (of === 'usd' && limit > 0 && limit < SMALLEST_USD) refuse('limit', `at least ${SMALLEST_USD}`);
  });

export type QuotaFile = z.output<typeof quotaSchema>;

export const quotasSchema = () =>
  z.array(quotaSchema).prefault([]).describe('what it may use; all of them hold at once');

export function toQuotaSettings({ limit, of, per, models }: QuotaFile): QuotaSettings {
  return { limit, of, per: per ?? null, models: models ?? null };
}

export const quotaDefaultsSchema = z
  .strictObject({
    output_tokens: count(1, 10_000_000)
      .prefault(4096)
      .describe('tokens reserved for the answer where a request names no maximum'),
    key_grace: duration().prefault('24h').describe('how long a key that was rotated lives on'),
    ledger_days: count(1, 3660).prefault(400).describe('how many days usage is kept'),
  })
  .prefault({});

export function toQuotaDefaults(file: z.output<typeof quotaDefaultsSchema>): QuotaDefaults {
  return { outputTokens: file.output_tokens, keyGrace: file.key_grace, ledgerDays: file.ledger_days };
}
