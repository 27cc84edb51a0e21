import { z } from 'zod';
import { LONGEST_NAME } from '../core/model-names.ts';
import { choice, mark, read, spelling, tokens } from '../schema/kit.ts';
import { DAYS, parseHours, parseInstant } from './calendar.ts';
import { type Fraction, fromNumber, parseRatio } from './fraction.ts';

/** A dollar a token: more is a slip of the pen. */
const HIGHEST_PRICE = 1_000_000;

/** For a million tokens, in the entry's currency. */
const price = () => mark(z.number().min(0).max(HIGHEST_PRICE), { form: 'number' });

const instant = () =>
  read(
    'a date such as 2026-12-01 (from its first moment, UTC) or an instant such as 2026-12-01T00:00:00+08:00',
    'date',
    (value) => (typeof value === 'string' ? parseInstant(value) : null),
  );

const hours = () =>
  read('hours such as 9-12, 16:30-24:00 or 22-6', 'hours', (value) =>
    typeof value === 'string' ? parseHours(value) : null,
  );

const rate = () =>
  read('US dollars for one, such as 1.08 or 1.32/9', 'number', (value): Fraction | null => {
    if (typeof value === 'string') return parseRatio(value);
    return typeof value === 'number' && value > 0 ? fromNumber(value) : null;
  });

const ratesShape = {
  in: price(),
  cache_read: price().optional(),
  cache_write: price().optional(),
  cache_write_1h: price().optional(),
  out: price(),
};

const lengthShape = {
  ...ratesShape,
  up_to: tokens().optional(),
  tiers: z
    .array(z.strictObject({ above: tokens(), ...ratesShape }))
    .min(1)
    .optional(),
};

const periodShape = {
  from: instant().optional(),
  until: instant().optional(),
  ...lengthShape,
  times: z
    .array(
      z.strictObject({
        days: z.array(choice(DAYS)).min(1).optional(),
        hours: z.array(hours()).min(1),
        ...lengthShape,
      }),
    )
    .min(1)
    .optional(),
};

const entrySchema = z.strictObject({
  models: z.array(z.string().min(1).max(LONGEST_NAME)).min(1),
  providers: z.array(z.string().min(1)).min(1).optional(),
  currency: z.string().optional(),
  zone: z.string().optional(),
  // One period stands in the entry itself, where `in` and `out` are required only if there is no list of several.
  ...z.strictObject(periodShape).partial({ in: true, out: true }).shape,
  periods: z.array(z.strictObject(periodShape)).min(1).optional(),
});

const currencyName = z
  .string()
  .regex(/^[A-Z]{3}$/, 'expected the three capital letters of a currency, such as CNY');

/** A file of prices, as docs/prices.md tells it. */
export const pricesSchema = z.strictObject({
  spellings: z.array(spelling()).prefault([]),
  currencies: z.record(currencyName, rate()).prefault({}),
  prices: z.array(entrySchema),
});

export type PricesFile = z.output<typeof pricesSchema>;
export type EntryFile = PricesFile['prices'][number];
export type PeriodFile = NonNullable<EntryFile['periods']>[number];
export type LengthFile = Pick<PeriodFile, keyof typeof lengthShape>;
export type RatesFile = Pick<PeriodFile, keyof typeof ratesShape>;
