import type { Speed } from '../resilience/speed.ts';
import type { Measures } from '../routing/measures.ts';
import type { Target } from './registry.ts';
import type { Upstream } from './upstream.ts';

/** What has to be known of a request to judge targets for it. */
export interface Judged {
  streaming: boolean;
  /** What it may cost there; null: no price is known. */
  cost(target: Target): number | null;
}

/** Made for every request, so nothing but what it is asked for is worked out. Of a pool of keys, what its usable keys come to together. */
export class TargetMeasures implements Measures<Target> {
  readonly #request: Judged;

  constructor(request: Judged) {
    this.#request = request;
  }

  id(target: Target): string {
    return target.settings.id;
  }

  usable({ lanes, limiter }: Target): boolean {
    if (limiter?.isFull) return false;
    for (const { upstream } of lanes) if (isUsable(upstream)) return true;
    return false;
  }

  /** The keys take turns, so it is the mean of those that are in the running. */
  latency({ lanes }: Target): number | null {
    let sum = 0;
    let known = 0;
    for (const { upstream } of lanes) {
      if (!isUsable(upstream)) continue;
      // Hope is for those that nobody waits for: the first to do so finds out for all.
      const average = this.#speedOf(upstream).hopefulAverage();
      if (average === null) continue;
      sum += average;
      known++;
    }
    return known === 0 ? null : sum / known;
  }

  quantile({ lanes }: Target, share: number): number | null {
    let sum = 0;
    let known = 0;
    for (const { upstream } of lanes) {
      const quantile = this.#speedOf(upstream).quantile(share);
      if (quantile === null) continue;
      sum += quantile;
      known++;
    }
    return known === 0 ? null : sum / known;
  }

  inFlight({ lanes }: Target): number {
    let sum = 0;
    for (const { upstream } of lanes) sum += upstream.inFlight;
    return sum;
  }

  cost(target: Target): number | null {
    return this.#request.cost(target);
  }

  /** A key that is cooling down has nothing left, one of which nothing is known has all. */
  headroom({ lanes }: Target): number | null {
    let sum = 0;
    let known = false;
    for (const { upstream } of lanes) {
      const left = upstream.cooldownLeft() > 0 ? 0 : upstream.headroom.left();
      if (left !== null) known = true;
      sum += left ?? 1;
    }
    return known ? sum / lanes.length : null;
  }

  #speedOf({ speed }: Upstream): Speed {
    return this.#request.streaming ? speed.stream : speed.plain;
  }
}

function isUsable(upstream: Upstream): boolean {
  return upstream.cooldownLeft() === 0 && upstream.admits();
}
