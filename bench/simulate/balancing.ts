import type { BalanceBy } from '../../src/routing/tree.ts';
import { between, errors, percent, shareOf, type Table, time, timeOf, triesEach } from './figures.ts';
import { balanced, simulate } from './fleet.ts';
import type { ProviderModel } from './provider.ts';

export const MODES: readonly BalanceBy[] = ['weight', 'latency', 'least_busy', 'cost', 'headroom'];

const MINUTE = 60_000;

/** Four targets that differ by much. */
export const FLEET: readonly ProviderModel[] = [
  { id: 'a/quick', median: 300, spread: 0.4, talks: 4000, price: 4 },
  { id: 'b/usual', median: 600, spread: 0.4, talks: 4000, price: 3 },
  { id: 'c/usual', median: 700, spread: 0.5, talks: 5000, price: 2 },
  { id: 'd/slow', median: 2000, spread: 0.6, talks: 8000, price: 1 },
];

/** The same, the first of them in bad weather from the second minute to the fourth. */
function inBadWeather(weather: { slower?: number; failing?: number; silent?: number }): ProviderModel[] {
  return FLEET.map((model, index) =>
    index > 0 ? model : { ...model, weather: (at) => (at >= 2 * MINUTE && at < 4 * MINUTE ? weather : {}) },
  );
}

export async function steady(): Promise<Table> {
  const rows = await Promise.all(
    MODES.map(async (by) => {
      const { served } = await simulate({
        models: FLEET,
        tree: balanced(by),
        perSecond: 20,
        lasts: 5 * MINUTE,
      });
      return [
        `\`${by}\``,
        ...FLEET.map(({ id }) => percent(shareOf(served, id))),
        time(timeOf(served, 0.5)),
        time(timeOf(served, 0.99)),
        String(errors(served)),
      ];
    }),
  );
  return {
    title: 'Four targets that differ',
    about:
      'Median times to first content of 300, 600, 700 and 2000 ms, prices falling from 4 to 1, equal weights, 20 requests a second for five minutes. Who was asked first, and how long clients waited for the first content.',
    head: ['`by`', ...FLEET.map(({ id }) => `\`${id}\``), 'p50', 'p99', 'errors'],
    rows,
  };
}

export async function trouble(): Promise<Table> {
  const kinds = {
    'becomes twenty times slower': { slower: 20 },
    'fails three times in ten': { failing: 0.3 },
    'falls silent': { silent: 1 },
  };
  const runs = Object.entries(kinds).flatMap(([what, weather]) =>
    (['weight', 'latency', 'least_busy'] as const).map(async (by) => {
      const { served } = await simulate({
        models: inBadWeather(weather),
        tree: balanced(by),
        perSecond: 20,
        lasts: 6 * MINUTE,
      });
      const bad = between(served, 2 * MINUTE, 4 * MINUTE);
      const after = between(served, 5 * MINUTE, 6 * MINUTE);
      return [
        what,
        `\`${by}\``,
        percent(shareOf(between(served, MINUTE, 2 * MINUTE), 'a/quick')),
        String(bad.filter(({ first }) => first === 'a/quick').length),
        time(timeOf(bad, 0.5)),
        time(timeOf(bad, 0.99)),
        triesEach(bad).toFixed(2),
        String(errors(bad)),
        percent(shareOf(after, 'a/quick')),
      ];
    }),
  );
  return {
    title: 'The quickest of them in trouble for two minutes',
    about:
      'The same fleet and load; some 2,400 requests come in these two minutes. With the usual breaker and `first_token: 30s`, and nothing else against silence, hedging for one.',
    head: [
      'it …',
      '`by`',
      'its share before',
      'asked in trouble',
      'p50',
      'p99',
      'tries each',
      'errors',
      'its share a minute after',
    ],
    rows: await Promise.all(runs),
  };
}

/** Three accounts with different limits, of which nobody has told the gateways by weights. */
export const LIMITED: readonly ProviderModel[] = [
  { id: 'a/large', median: 500, spread: 0.4, talks: 3000, perMinute: 600 },
  { id: 'b/middle', median: 500, spread: 0.4, talks: 3000, perMinute: 300 },
  { id: 'c/small', median: 500, spread: 0.4, talks: 3000, perMinute: 100 },
];

export async function limited(): Promise<Table> {
  const runs = [1, 4, 16].flatMap((gateways) =>
    (['weight', 'least_busy', 'headroom'] as const).map(async (by) => {
      const { served, refused } = await simulate({
        models: LIMITED,
        tree: balanced(by),
        perSecond: 15,
        lasts: 10 * MINUTE,
        gateways,
      });
      const rest = between(served, 2 * MINUTE, 10 * MINUTE);
      return [
        String(gateways),
        `\`${by}\``,
        ...LIMITED.map(({ id }) => percent(shareOf(rest, id))),
        String(Object.values(refused).reduce((all, some) => all + some)),
        time(timeOf(rest, 0.99)),
        String(errors(rest)),
      ];
    }),
  );
  return {
    title: 'Accounts with different limits',
    about:
      'Three equally fast targets that admit 600, 300 and 100 requests a minute, equal weights, 900 requests a minute for ten minutes, spread over 1, 4 or 16 gateways that know nothing of each other. Who was asked first from the third minute on, and how often a provider said 429.',
    head: ['gateways', '`by`', ...LIMITED.map(({ id }) => `\`${id}\``), '429s', 'p99', 'errors'],
    rows: await Promise.all(runs),
  };
}

/** Self-hosted servers of different sizes: what comes on top of their slots waits. */
export const SIZED: readonly ProviderModel[] = [
  { id: 'a/large', median: 300, spread: 0.3, talks: 4000, slots: 40 },
  { id: 'b/middle', median: 300, spread: 0.3, talks: 4000, slots: 20 },
  { id: 'c/small', median: 300, spread: 0.3, talks: 4000, slots: 10 },
];

export async function sized(): Promise<Table> {
  const runs = [
    { by: 'weight', weights: [] },
    { by: 'weight', weights: [4, 2, 1] },
    { by: 'latency', weights: [] },
    { by: 'least_busy', weights: [] },
    { by: 'least_busy', weights: [4, 2, 1] },
  ] as const;
  const rows = await Promise.all(
    runs.map(async ({ by, weights }) => {
      const { served } = await simulate({
        models: SIZED,
        tree: balanced(by, weights),
        perSecond: 13,
        lasts: 10 * MINUTE,
      });
      return [
        `\`${by}\``,
        weights.length === 0 ? '1, 1, 1' : weights.join(', '),
        ...SIZED.map(({ id }) => percent(shareOf(served, id))),
        time(timeOf(served, 0.5)),
        time(timeOf(served, 0.99)),
        String(errors(served)),
      ];
    }),
  );
  return {
    title: 'Servers of different sizes',
    about:
      'Three self-hosted servers that work at 40, 20 and 10 requests at a time, at four fifths of what they can do together (13 requests a second, for ten minutes). What comes on top of that queues up there.',
    head: ['`by`', 'weights', ...SIZED.map(({ id }) => `\`${id}\``), 'p50', 'p99', 'errors'],
    rows,
  };
}
