import type { HedgeSettings, TreeNode } from '../../src/routing/tree.ts';
import { between, errors, percent, sum, type Table, time, timeOf } from './figures.ts';
import { type Load, type Run, simulate } from './fleet.ts';
import type { Provider, ProviderModel } from './provider.ts';

const MINUTE = 60_000;

/**
 * The first choice: half of its answers begin within 500 ms, one in a hundred takes over 3.2 s, and one in two hundred never comes. The
 * second: as fast in the middle, with a shorter tail.
 */
export const PAIR: readonly ProviderModel[] = [
  { id: 'a/first', median: 500, spread: 0.8, talks: 5000, weather: () => ({ silent: 0.005 }) },
  { id: 'b/second', median: 500, spread: 0.5, talks: 5000 },
];

/** As they stand in a configuration. */
const SETTINGS: readonly { after: string; hedge: HedgeSettings | null }[] = [
  { after: 'no hedge', hedge: null },
  { after: '`5s`, 0.05', hedge: { after: { ms: 5000 }, maxExtra: 0.05 } },
  { after: '`2s`, 0.05', hedge: { after: { ms: 2000 }, maxExtra: 0.05 } },
  { after: '`p99`, 0.05', hedge: { after: { quantile: 0.99 }, maxExtra: 0.05 } },
  { after: '`p95`, 0.02', hedge: { after: { quantile: 0.95 }, maxExtra: 0.02 } },
  { after: '`p95`, 0.05', hedge: { after: { quantile: 0.95 }, maxExtra: 0.05 } },
  { after: '`p95`, 0.1', hedge: { after: { quantile: 0.95 }, maxExtra: 0.1 } },
  { after: '`p90`, 0.2', hedge: { after: { quantile: 0.9 }, maxExtra: 0.2 } },
  { after: '`p50`, 1', hedge: { after: { quantile: 0.5 }, maxExtra: 1 } },
];

/** One after the other, the second beside the first where that is silent. */
export function inTurn(hedge: HedgeSettings | null): Load['tree'] {
  return (providers) => ({
    kind: 'fallback',
    label: 'models.m',
    cache: null,
    onStatusCodes: null,
    hedge,
    children: providers.map(
      (target): TreeNode<Provider> => ({ kind: 'target', label: target.model.id, cache: null, target }),
    ),
  });
}

/** Second targets for each request. */
function extra({ hedges, served }: Run): string {
  return percent(hedges.started / served.length);
}

function wonOf({ hedges }: Run): string {
  return hedges.started === 0 ? '–' : percent(hedges.won / hedges.started);
}

export async function tails(): Promise<Table> {
  const rows = await Promise.all(
    SETTINGS.map(async ({ after, hedge }) => {
      const run = await simulate({ models: PAIR, tree: inTurn(hedge), perSecond: 20, lasts: 30 * MINUTE });
      const { served } = run;
      return [
        after,
        ...[0.5, 0.95, 0.99, 0.999].map((share) => time(timeOf(served, share))),
        extra(run),
        wonOf(run),
        percent(sum(run.asked) / served.length - 1),
        String(errors(served)),
      ];
    }),
  );
  return {
    title: 'A first target with a long tail',
    about:
      'Two targets in turn, 20 requests a second for half an hour. The first begins half of its answers within 500 ms and one in a hundred after more than 3.2 s; one request in two hundred it never answers. The second is as quick in the middle, with a shorter tail. How long clients waited for the first content; second targets for each request, how many of them answered first, and how many more tries there were than requests, for whatever reason.',
    head: [
      '`after`, `max_extra`',
      'p50',
      'p95',
      'p99',
      'p99.9',
      'hedged',
      'of these won',
      'extra tries',
      'errors',
    ],
    rows,
  };
}

/** From the tenth minute to the twelfth, the first of the pair is in trouble. */
export function troubled(weather: { slower?: number; silent?: number }): readonly ProviderModel[] {
  return PAIR.map((model, index) =>
    index > 0
      ? model
      : { ...model, weather: (at) => (at >= 10 * MINUTE && at < 12 * MINUTE ? weather : { silent: 0.005 }) },
  );
}

export async function troubledFirst(): Promise<Table> {
  const kinds = { 'becomes ten times slower': { slower: 10 }, 'falls silent': { silent: 1 } };
  const chosen = SETTINGS.filter(({ after }) =>
    ['no hedge', '`2s`, 0.05', '`p95`, 0.05', '`p95`, 0.1', '`p50`, 1'].includes(after),
  );
  const runs = Object.entries(kinds).flatMap(([what, weather]) =>
    chosen.map(async ({ after, hedge }) => {
      const run = await simulate({
        models: troubled(weather),
        tree: inTurn(hedge),
        perSecond: 20,
        lasts: 15 * MINUTE,
      });
      const bad = between(run.served, 10 * MINUTE, 12 * MINUTE);
      const tries = bad.reduce((all, one) => all + one.tries, 0);
      return [
        what,
        after,
        time(timeOf(bad, 0.5)),
        time(timeOf(bad, 0.95)),
        time(timeOf(bad, 0.99)),
        (tries / bad.length).toFixed(2),
        extra(run),
        String(errors(bad)),
      ];
    }),
  );
  return {
    title: 'A first target in trouble for two minutes',
    about:
      'The same pair and load for a quarter of an hour. Hedging is for single slow answers; an outage is for the breaker, and the budget keeps the two apart. Times and tries are those of the two minutes, second targets those of the whole quarter of an hour.',
    head: ['it …', '`after`, `max_extra`', 'p50', 'p95', 'p99', 'tries each', 'hedged', 'errors'],
    rows: await Promise.all(runs),
  };
}
