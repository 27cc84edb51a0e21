import { slotOf } from '../../src/state/slots.ts';
import { StateUnavailable } from '../../src/state/unavailable.ts';
import type { CleansUp, RedisServer } from '../support/redis.ts';
import type { RedisCluster } from '../support/redis-cluster.ts';

export function address({ host, port }: RedisServer): string {
  return `${host}:${port}`;
}

let tags = 0;

/** A name, not given before, whose keys are in a slot of this node. */
export async function tagOf(node: RedisServer, of: RedisCluster): Promise<string> {
  for (;;) {
    const tag = `tenant-${tags++}`;
    if ((await of.owner(slotOf(tag))) === node) return tag;
  }
}

export interface Traffic {
  /** Ends it; resolves to how many calls were answered, why others were not, and how long the slowest took in milliseconds. */
  stop(): Promise<{ answered: number; unavailable: string[]; slowest: number }>;
}

/** Calls without end, a few at a time. */
export function traffic(t: CleansUp, call: (number: number) => Promise<unknown>): Traffic {
  let [going, number, answered, slowest] = [true, 0, 0, 0];
  const unavailable = new Set<string>();
  t.after(async () => {
    going = false;
  });
  const workers = Array.from({ length: 8 }, async () => {
    while (going) {
      const started = performance.now();
      try {
        await call(number++);
        answered++;
      } catch (error) {
        if (!(error instanceof StateUnavailable)) throw error;
        unavailable.add(error.message);
      }
      slowest = Math.max(slowest, performance.now() - started);
      // Leaves the machine to those who are called.
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  });
  return {
    async stop() {
      going = false;
      await Promise.all(workers);
      return { answered, unavailable: [...unavailable], slowest };
    },
  };
}

export function settings(of: RedisCluster): { kind: 'cluster'; urls: string[] } {
  return { kind: 'cluster', urls: of.urls };
}

export async function counted(of: RedisCluster, key: string): Promise<number> {
  return Number(await (await of.owner(key)).call('GET', key));
}
