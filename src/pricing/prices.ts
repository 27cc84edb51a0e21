import { ModelTable } from '../core/model-table.ts';
import type { CacheSaved, Usage } from '../core/usage.ts';
import { isIn, type WeekSpan, ZoneCalendar } from './calendar.ts';
import { type PaidTokens, Rates } from './rates.ts';
import type { LengthPrices, PricePeriod, PriceTable } from './settings.ts';

/** All prices of a configuration. */
export class Prices {
  /** Entries of the table. */
  readonly size: number;
  readonly #table: ModelTable<ModelPrice>;

  constructor({ spellings, entries }: PriceTable) {
    this.size = entries.length;
    const calendars = new Map<string, ZoneCalendar>();
    this.#table = new ModelTable(
      spellings,
      entries.map(({ names, providers, periods }) => {
        const value = new ModelPrice(periods, calendars);
        return { names, providers, value };
      }),
    );
  }

  /** The price of a model, by the name that the provider is asked for; null if none is known. */
  find(provider: string, model: string): ModelPrice | null {
    return this.#table.find(provider, model);
  }
}

/** What a model costs, whenever. Amounts are whole nanodollars. */
export class ModelPrice {
  readonly #periods: readonly Period[];

  constructor(periods: readonly PricePeriod[], calendars: Map<string, ZoneCalendar> = new Map()) {
    this.#periods = periods.map((period) => new Period(period, calendars));
  }

  /** Of an answer to a request of that time (since 1970); null where nothing is known of that time, or of so long a prompt. */
  cost(usage: Usage, at: number): number | null {
    const rates = this.#ratesAt(whole(usage.input), at);
    return rates === null ? null : rates.cost(paidTokens(usage));
  }

  /** What its cache saved of such an answer's cost; null as with `cost`. */
  cacheSaved(usage: Usage, at: number): CacheSaved | null {
    const rates = this.#ratesAt(whole(usage.input), at);
    if (rates === null) return null;
    const paid = paidTokens(usage);
    const unread = { ...paid, fresh: paid.fresh + paid.read, read: 0 };
    const full = { ...unread, fresh: unread.fresh + paid.write + paid.writeHour, write: 0, writeHour: 0 };
    return {
      read: rates.cost(unread) - rates.cost(paid),
      written: rates.cost(unread) - rates.cost(full),
    };
  }

  /**
   * The most that so many tokens may come to: nothing of the prompt read from a cache, and all of it written to one where that is
   * dearer. Only what is to be kept for an hour can cost more. Null as with `cost`.
   */
  most(input: number, output: number, at: number): number | null {
    const tokens = whole(input);
    return this.#ratesAt(tokens, at)?.most(tokens, whole(output)) ?? null;
  }

  #ratesAt(input: number, at: number): Rates | null {
    for (const period of this.#periods) {
      if (period.from <= at && at < period.until) return period.ratesAt(input, at);
    }
    return null;
  }
}

/** Prices between two moments. */
class Period {
  readonly from: number;
  readonly until: number;
  readonly #usual: LengthRates;
  readonly #bands: readonly { spans: readonly WeekSpan[]; rates: LengthRates }[];
  readonly #calendar: ZoneCalendar | null;

  constructor({ from, until, prices, zone, bands }: PricePeriod, calendars: Map<string, ZoneCalendar>) {
    this.from = from;
    this.until = until;
    this.#usual = new LengthRates(prices);
    this.#bands = bands.map((band) => ({ spans: band.spans, rates: new LengthRates(band.prices) }));
    this.#calendar = bands.length === 0 ? null : calendarOf(zone, calendars);
  }

  ratesAt(input: number, at: number): Rates | null {
    if (this.#calendar === null) return this.#usual.of(input);
    const minute = this.#calendar.minuteOfWeek(at);
    const band = this.#bands.find(({ spans }) => isIn(spans, minute));
    return (band?.rates ?? this.#usual).of(input);
  }
}

/** Prices by the length of the prompt. */
class LengthRates {
  readonly #base: Rates;
  readonly #tiers: readonly { above: number; rates: Rates }[];
  readonly #upTo: number;

  constructor({ base, tiers, upTo }: LengthPrices) {
    this.#base = new Rates(base);
    this.#tiers = tiers.map(({ above, prices }) => ({ above, rates: new Rates(prices) }));
    this.#upTo = upTo;
  }

  /** Null if the prompt is longer than anything is known of. */
  of(input: number): Rates | null {
    if (input > this.#upTo) return null;
    let rates = this.#base;
    for (const tier of this.#tiers) {
      if (input <= tier.above) break;
      rates = tier.rates;
    }
    return rates;
  }
}

/** They are costly to make: one for each zone. */
function calendarOf(zone: string, calendars: Map<string, ZoneCalendar>): ZoneCalendar {
  let calendar = calendars.get(zone);
  if (calendar === undefined) {
    calendar = new ZoneCalendar(zone);
    calendars.set(zone, calendar);
  }
  return calendar;
}

/** Whatever an upstream reports: the parts come to the whole, and none is below 0. What is dearer is believed first. */
function paidTokens(usage: Usage): PaidTokens {
  const input = whole(usage.input);
  const written = Math.min(whole(usage.cacheWrite), input);
  const writeHour = Math.min(whole(usage.cacheWriteHour ?? 0), written);
  const read = Math.min(whole(usage.cached), input - written);
  return {
    fresh: input - written - read,
    read,
    write: written - writeHour,
    writeHour,
    out: whole(usage.output),
  };
}

/** A number of tokens, whatever was reported. */
function whole(tokens: number): number {
  return tokens > 0 ? Math.min(Math.ceil(tokens), Number.MAX_SAFE_INTEGER) : 0;
}

export const NO_PRICES = new Prices({ spellings: [], entries: [] });
