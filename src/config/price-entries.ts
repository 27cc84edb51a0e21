import { DAYS, isZone, overlap, type WeekSpan, weekSpans } from '../pricing/calendar.ts';
import { type Fraction, fromNumber, times } from '../pricing/fraction.ts';
import type { EntryFile, LengthFile, PeriodFile, PricesFile, RatesFile } from '../pricing/schema.ts';
import type { LengthPrices, PriceEntry, PricePeriod, TokenPrices } from '../pricing/settings.ts';
import { checkNames, checkProviders } from './named-entries.ts';
import { formatPath, type Path } from './problem.ts';
import type { Reports } from './reports.ts';

const DOLLAR = 'USD';
/** Dollars for a million tokens to nanodollars for one. */
const NANODOLLARS_A_TOKEN = fromNumber(1000);
/** Nobody sells a million tokens for less: dollars for a single token look like that. */
const LOWEST_LIKELY = 0.0001;

/** The entries of a file of prices, ready to be looked up. What is wrong with them goes to `reports`. */
export function priceEntries(
  file: PricesFile,
  reports: Reports,
  providers: ReadonlySet<string>,
): PriceEntry[] {
  const currencies = currenciesOf(file, reports);
  const names = new Map<string, string>();
  return file.prices.map((entry, index) => {
    const path = ['prices', index];
    checkNames(entry, path, names, 'a price', reports);
    checkProviders(entry, path, providers, reports);
    const unit = unitOf(entry, path, currencies, reports);
    const zone = zoneOf(entry, path, reports);
    return {
      names: entry.models,
      providers: entry.providers ?? null,
      periods: periodsOf(entry, path, reports).map((period) => toPeriod(period, unit, zone, reports)),
    };
  });
}

/** Dollars for one of each. */
function currenciesOf({ currencies }: PricesFile, reports: Reports): ReadonlyMap<string, Fraction> {
  if (currencies[DOLLAR] !== undefined) {
    reports.report(['currencies', DOLLAR], 'is what all others are told in; take it out');
  }
  return new Map([...Object.entries(currencies), [DOLLAR, fromNumber(1)]]);
}

/** Nanodollars a token for what the entry's numbers are counted in. */
function unitOf(
  entry: EntryFile,
  path: Path,
  currencies: ReadonlyMap<string, Fraction>,
  reports: Reports,
): Fraction {
  const name = entry.currency ?? DOLLAR;
  const rate = currencies.get(name);
  if (rate !== undefined) return times(rate, NANODOLLARS_A_TOKEN);
  if (!reports.isDamaged(['currencies', name])) {
    reports.reportName([...path, 'currency'], 'currency', name, currencies.keys());
  }
  return NANODOLLARS_A_TOKEN;
}

function zoneOf(entry: EntryFile, path: Path, reports: Reports): string {
  const { zone } = entry;
  if (zone === undefined) return 'UTC';
  if (!isZone(zone)) {
    reports.reportName([...path, 'zone'], 'time zone', zone, ['UTC', ...Intl.supportedValuesOf('timeZone')]);
    return 'UTC';
  }
  const hasTimes = [entry, ...(entry.periods ?? [])].some((period) => period.times !== undefined);
  if (!hasTimes) reports.warn([...path, 'zone'], 'has no effect without `times`');
  return zone;
}

interface PlacedPeriod {
  path: Path;
  period: PeriodFile;
}

/** Keys that say one period in the entry itself. */
const OF_A_PERIOD = [
  'from',
  'until',
  'in',
  'cache_read',
  'cache_write',
  'cache_write_1h',
  'out',
  'up_to',
  'tiers',
  'times',
] as const satisfies readonly (keyof PeriodFile)[];

/** In order of time. */
function periodsOf(entry: EntryFile, path: Path, reports: Reports): PlacedPeriod[] {
  const { periods, in: input, out } = entry;
  if (periods === undefined) {
    if (reports.isDamaged([...path, 'periods'])) return [];
    for (const key of ['in', 'out'] as const) {
      if (entry[key] === undefined)
        reports.report([...path, key], 'missing; expected a number, or `periods`');
    }
    if (input === undefined || out === undefined) return [];
    return inOrder([{ path, period: { ...entry, in: input, out } }], reports);
  }
  for (const key of OF_A_PERIOD) {
    if (entry[key] !== undefined)
      reports.report([...path, key], 'belongs into `periods`, where there are some');
  }
  return inOrder(
    periods.map((period, index) => ({ path: [...path, 'periods', index], period })),
    reports,
  );
}

function inOrder(periods: PlacedPeriod[], reports: Reports): PlacedPeriod[] {
  for (const { path, period } of periods) {
    const { from, until } = boundsOf(period);
    if (until <= from) reports.report([...path, 'until'], 'is not after `from`');
  }
  const ordered = periods.toSorted((a, b) => boundsOf(a.period).from - boundsOf(b.period).from);
  for (const [index, { path, period }] of ordered.entries()) {
    const before = ordered[index - 1];
    if (before === undefined || boundsOf(before.period).until <= boundsOf(period).from) continue;
    const key = period.from === undefined ? [] : ['from'];
    const what =
      'begins before the one before it ends; `until` is the first moment that a price no longer holds';
    reports.report([...path, ...key], `${what} (see \`${formatPath(before.path)}\`)`);
  }
  return ordered;
}

function boundsOf({ from, until }: PeriodFile): { from: number; until: number } {
  return { from: from ?? Number.NEGATIVE_INFINITY, until: until ?? Number.POSITIVE_INFINITY };
}

function toPeriod(
  { path, period }: PlacedPeriod,
  unit: Fraction,
  zone: string,
  reports: Reports,
): PricePeriod {
  const taken: { spans: WeekSpan[]; path: Path }[] = [];
  const bands = (period.times ?? []).map((band, index) => {
    const place = [...path, 'times', index];
    const spans = weekSpans(band.days ?? DAYS, band.hours);
    const other = taken.find((one) => overlap(one.spans, spans));
    if (other !== undefined) {
      reports.report([...place, 'hours'], `are in part those of \`${formatPath(other.path)}\``);
    }
    taken.push({ spans, path: place });
    return { spans, prices: lengthPrices(band, place, unit, reports) };
  });
  return { ...boundsOf(period), prices: lengthPrices(period, path, unit, reports), zone, bands };
}

function lengthPrices(file: LengthFile, path: Path, unit: Fraction, reports: Reports): LengthPrices {
  const upTo = file.up_to ?? Number.POSITIVE_INFINITY;
  let last = 0;
  const tiers = (file.tiers ?? []).map((tier, index) => {
    const place = [...path, 'tiers', index];
    if (tier.above <= last) {
      reports.report([...place, 'above'], 'is not above the tier before it; tiers stand in order of length');
    } else if (tier.above >= upTo) {
      reports.report([...place, 'above'], 'is not below `up_to`, beyond which no price is known');
    }
    last = tier.above;
    return { above: tier.above, prices: tokenPrices(tier, place, unit, reports) };
  });
  return { base: tokenPrices(file, path, unit, reports), tiers, upTo };
}

/** What is not given is never cheaper than what is known. */
function tokenPrices(file: RatesFile, path: Path, unit: Fraction, reports: Reports): TokenPrices {
  for (const key of ['in', 'out'] as const) {
    if (file[key] > 0 && file[key] < LOWEST_LIKELY) {
      reports.warn([...path, key], 'is for a million tokens; is this the price of one?');
    }
  }
  const { in: input, cache_read: read = input, cache_write: write = input, out } = file;
  const { cache_write_1h: writeHour = write } = file;
  const price = (amount: number) => times(fromNumber(amount), unit);
  return {
    in: price(input),
    cacheRead: price(read),
    cacheWrite: price(write),
    cacheWriteHour: price(writeHour),
    out: price(out),
  };
}
