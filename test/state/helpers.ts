import { type Clock, systemClock } from '../../src/core/clock.ts';
import type { Script, StateChange } from '../../src/state/client.ts';
import { type OpenState, openState } from '../../src/state/connect.ts';
import type { RedisSettings } from '../../src/state/settings.ts';
import { StateUnavailable } from '../../src/state/unavailable.ts';
import type { CleansUp } from '../support/redis.ts';

export interface OpenOptions {
  /** Long unless said: a machine that is busy is not what most tests are about. */
  commandTimeout?: number;
  clock?: Clock;
  gateway?: string;
}

/** A client under test, and what it said. */
export interface TestState extends OpenState {
  readonly changes: readonly StateChange[];
  /** Resolves to the next change from the one at `from` on. */
  change(from?: number): Promise<StateChange>;
}

export function open(t: CleansUp, redis: RedisSettings | string, options: OpenOptions = {}): TestState {
  const { commandTimeout = 1_000, clock = systemClock, gateway = 'g1' } = options;
  const settings = typeof redis === 'string' ? ({ kind: 'single', url: redis } as const) : redis;
  const state = openState(
    { redis: settings, keyPrefix: 'spillway', commandTimeout, onOutage: 'local' },
    { clock, chance: Math.random, gateway },
  );
  t.after(() => state.close());
  const changes: StateChange[] = [];
  const waiting: (() => void)[] = [];
  state.onChange((change) => {
    changes.push(change);
    for (const resolve of waiting.splice(0)) resolve();
  });
  return Object.assign(state, {
    changes,
    async change(from = changes.length) {
      for (;;) {
        const found = changes[from];
        if (found !== undefined) return found;
        await new Promise<void>((resolve) => waiting.push(resolve));
      }
    },
  });
}

/** Counts its calls in a key: shows whether something was done once or twice. */
export const COUNT: Script = {
  lua: `return redis.call('INCRBY', KEYS[1], ARGV[1])`,
};

export interface Outcome {
  /** Milliseconds. */
  took: number;
  /** It was not over when its `bound` was. */
  late: boolean;
  reply: unknown;
  /** Of StateUnavailable; any other error is thrown. */
  unavailable: string | null;
}

/**
 * What became of a call, and how long it took. `bound`: milliseconds, by a timer that is begun with it, so that on a machine that stands still for a while what
 * comes first is the same; 0: before the event loop takes another turn.
 */
export async function outcome(call: () => Promise<unknown>, bound = 60_000): Promise<Outcome> {
  const started = performance.now();
  let late = false;
  const isLate = () => {
    late = true;
  };
  const immediate = bound === 0 ? setImmediate(isLate) : null;
  const timer = bound === 0 ? null : setTimeout(isLate, bound);
  const over = () => {
    if (immediate !== null) clearImmediate(immediate);
    if (timer !== null) clearTimeout(timer);
    return { took: performance.now() - started, late };
  };
  try {
    const reply = await call();
    return { ...over(), reply, unavailable: null };
  } catch (error) {
    const ended = over();
    if (!(error instanceof StateUnavailable)) throw error;
    return { ...ended, reply: undefined, unavailable: error.message };
  }
}
