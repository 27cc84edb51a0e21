import { createHash } from 'node:crypto';
import { inOrder } from '../../src/routing/balance.ts';
import type { Measures } from '../../src/routing/measures.ts';
import type { LoadBalanceNode } from '../../src/routing/tree.ts';
import { FLEET } from './balancing.ts';
import { between, percent, type Table } from './figures.ts';
import { balanced, simulate } from './fleet.ts';
import type { Served } from './gateway.ts';

const KEYS = Array.from({ length: 100_000 }, (_, i) => `acme conversation-${i}`);

/** Targets by their ids, each with its weight. */
type Weights = Readonly<Record<string, number>>;

const NOTHING_KNOWN: Measures<string> = {
  id: (id) => id,
  usable: () => true,
  latency: () => null,
  quantile: () => null,
  inFlight: () => 0,
  cost: () => null,
  headroom: () => null,
};

/** Whose each key is. */
export function owners(weights: Weights, keys: readonly string[] = KEYS): string[] {
  const node: LoadBalanceNode<string> = {
    kind: 'loadbalance',
    label: 'models.m',
    cache: null,
    onStatusCodes: null,
    by: 'weight',
    sticky: 'x-conversation-id',
    children: Object.entries(weights).map(([id, weight]) => ({
      weight,
      node: { kind: 'target', label: id, cache: null, target: id },
    })),
  };
  return keys.map((sticky) => {
    const [first] = inOrder(node, { measures: NOTHING_KNOWN, chance: Math.random, sticky });
    return first?.kind === 'target' ? first.target : '';
  });
}

/** The yardstick: a hash, and the remainder of dividing it by the number of targets. */
function byRemainder(weights: Weights): string[] {
  const ids = Object.keys(weights);
  return KEYS.map((key) => ids[createHash('sha1').update(key).digest().readUInt32BE(0) % ids.length] ?? '');
}

/** The share that is another one's now. */
export function moved(before: readonly string[], after: readonly string[]): number {
  return before.filter((owner, index) => owner !== after[index]).length / before.length;
}

/** The least that has to move so that each has its share. */
export function leastToMove(before: Weights, after: Weights): number {
  const total = (weights: Weights) => Object.values(weights).reduce((sum, weight) => sum + weight, 0);
  return Object.keys({ ...before, ...after }).reduce((sum, id) => {
    const gain = (after[id] ?? 0) / total(after) - (before[id] ?? 0) / total(before);
    return sum + Math.max(0, gain);
  }, 0);
}

const FOUR: Weights = { 'a/m': 1, 'b/m': 1, 'c/m': 1, 'd/m': 1 };

export const CHANGES: readonly { what: string; before: Weights; after: Weights }[] = [
  { what: 'one of four goes', before: FOUR, after: { 'a/m': 1, 'b/m': 1, 'd/m': 1 } },
  { what: 'a fifth comes', before: FOUR, after: { ...FOUR, 'e/m': 1 } },
  { what: 'a fifth comes, written first', before: FOUR, after: { 'e/m': 1, ...FOUR } },
  { what: 'one of four gets twice its weight', before: FOUR, after: { ...FOUR, 'b/m': 2 } },
  { what: 'one of four goes down to a tenth of its weight', before: FOUR, after: { ...FOUR, 'b/m': 0.1 } },
  {
    what: 'the file is put into another order',
    before: FOUR,
    after: { 'd/m': 1, 'c/m': 1, 'b/m': 1, 'a/m': 1 },
  },
];

export function movement(): Table {
  const rows = CHANGES.map(({ what, before, after }) => [
    what,
    percent(moved(owners(before), owners(after))),
    percent(leastToMove(before, after)),
    percent(moved(byRemainder(before), byRemainder(after))),
  ]);
  return {
    title: 'Conversations that move when the configuration changes',
    about:
      'Of 100,000 conversations, the share that is on another target afterwards; the least that would have to move for each target to have its share; and for comparison what moves with a hash divided by the number of targets, which knows no weights.',
    head: ['', 'moved', 'least possible', 'hash mod n'],
    rows,
  };
}

/** The share of the requests that went where the one before of the same conversation had gone: where its prompt may be cached. */
export function sameAsBefore(
  served: readonly (Served & { key: string })[],
  from: number,
  to: number,
): number {
  const last = new Map<string, string | null>();
  let same = 0;
  let all = 0;
  for (const { key, by, at } of served) {
    const before = last.get(key);
    last.set(key, by);
    if (before === undefined || at < from || at >= to) continue;
    all++;
    if (before === by) same++;
  }
  return same / all;
}

const MINUTE = 60_000;

export async function warmth(): Promise<Table> {
  const models = FLEET.map((model, index) =>
    index > 0
      ? model
      : { ...model, weather: (at: number) => (at >= 4 * MINUTE && at < 6 * MINUTE ? { failing: 1 } : {}) },
  );
  const runs = [1, 4].flatMap((gateways) =>
    [false, true].map(async (isSticky) => {
      const keys: string[] = [];
      const { served } = await simulate({
        models,
        tree: balanced('weight'),
        perSecond: 20,
        lasts: 8 * MINUTE,
        gateways,
        sticky: (chance) => {
          const key = `acme conversation-${Math.floor(chance() * 300)}`;
          keys.push(key);
          return isSticky ? key : null;
        },
      });
      const keyed = served.map((one, index) => ({ ...one, key: keys[index] ?? '' }));
      const share = (from: number, to: number) => percent(sameAsBefore(keyed, from * MINUTE, to * MINUTE));
      const own = between(served, 7 * MINUTE, 8 * MINUTE);
      return [
        String(gateways),
        isSticky ? 'yes' : 'no',
        share(2, 4),
        share(4, 6),
        share(6, 8),
        percent(own.filter(({ by }) => by === 'a/quick').length / own.length),
      ];
    }),
  );
  return {
    title: 'Conversations that find their prompt cached',
    about:
      'The fleet of four, 300 conversations with a turn every 15 seconds each. The share of turns that are answered where the turn before was; from the fourth to the sixth minute one target answers nothing but errors, and its conversations move to the next in their order, and back.',
    head: ['gateways', 'sticky', 'before', 'in trouble', 'after', 'its share at the end'],
    rows: await Promise.all(runs),
  };
}
