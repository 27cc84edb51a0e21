import type { BalanceBy, TreeNode } from '../../src/routing/tree.ts';
import { exponential, seeded } from './chance.ts';
import { Gateway, type Served } from './gateway.ts';
import { Provider, type ProviderModel } from './provider.ts';
import { VirtualClock } from './virtual-clock.ts';

export interface Run {
  served: Served[];
  /** By target. */
  asked: Readonly<Record<string, number>>;
  /** Answered with a 429, by target. */
  refused: Readonly<Record<string, number>>;
  /** Second targets that were started beside a silent one, and that answered first. */
  hedges: { started: number; won: number };
}

export interface Load {
  models: readonly ProviderModel[];
  /** What the gateways are given; the providers stand in the order of `models`. */
  tree(providers: readonly Provider[]): TreeNode<Provider>;
  /** Requests a second to all gateways together, on average; they come by chance. */
  perSecond: number;
  /** How long requests come. Milliseconds. */
  lasts: number;
  gateways?: number;
  seed?: number;
  /** What each request has in common with others; left out: nothing. */
  sticky?(chance: () => number): string | null;
}

/** Lets requests come for a while, and waits until the last has been served. */
export async function simulate(load: Load): Promise<Run> {
  const { perSecond, lasts, gateways: count = 1, seed = 1, sticky = () => null } = load;
  const clock = new VirtualClock();
  // Apart, so that all modes meet the same requests.
  const [arrivals, choices] = [seeded(seed), seeded(seed + 1)];
  const providers = load.models.map((model, index) => new Provider(model, clock, seeded(seed + 2 + index)));
  const tree = load.tree(providers);
  const gateways = Array.from({ length: count }, () => new Gateway(tree, clock, choices));
  const served: Served[] = [];
  const come = () => {
    if (clock.now() >= lasts) return;
    const gateway = gateways[Math.floor(arrivals() * count)] as Gateway;
    void gateway.serve(sticky(arrivals)).then((one) => served.push(one));
    clock.schedule(exponential(1000 / perSecond, arrivals), come);
  };
  clock.schedule(0, come);
  await clock.runUntil(lasts + 120_000);
  const byTarget = (of: (provider: Provider) => number) =>
    Object.fromEntries(providers.map((provider) => [provider.model.id, of(provider)]));
  return {
    served: served.sort((a, b) => a.at - b.at),
    asked: byTarget(({ asked }) => asked),
    refused: byTarget(({ refused }) => refused),
    hedges: gateways.reduce(
      (sum, { hedged }) => ({ started: sum.started + hedged.started, won: sum.won + hedged.won }),
      { started: 0, won: 0 },
    ),
  };
}

/** All targets under one load balancer, with these weights or 1 each. */
export function balanced(by: BalanceBy, weights: readonly number[] = []): Load['tree'] {
  return (providers) => ({
    kind: 'loadbalance',
    label: 'models.m',
    cache: null,
    onStatusCodes: null,
    by,
    sticky: 'x-conversation-id',
    children: providers.map((target, index) => ({
      weight: weights[index] ?? 1,
      node: { kind: 'target', label: target.model.id, cache: null, target },
    })),
  });
}
