import { randomUUID } from 'node:crypto';
import { type Clock, systemClock } from '../../src/core/clock.ts';
import { RedisStore } from '../../src/quota/redis/store.ts';
import type { QuotaStore } from '../../src/quota/store.ts';
import { type OpenState, openState } from '../../src/state/connect.ts';
import type { RedisSettings } from '../../src/state/settings.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { type CleansUp, type RedisServer, until } from '../support/redis.ts';
import type { TcpProxy } from '../support/tcp-proxy.ts';
import type { Rig } from './store-suite.ts';
import { Desk } from './suite/kit.ts';

export interface GatewayOptions {
  keyPrefix?: string;
  clock?: Clock;
  commandTimeout?: number;
  ledgerDays?: number;
  time?: () => number;
  /** What must not happen, if nothing is said of it. */
  onFault?: (error: unknown) => void;
}

/** A store with a connection of its own, as every gateway has one. */
export interface Gateway {
  /** In Redis. */
  id: string;
  store: RedisStore;
  client: OpenState;
  /** Ends it as SIGKILL does: it says nothing more. */
  die(): Promise<void>;
}

/** Loud, since no test of a store that lives is about a fault. */
function fail(error: unknown): void {
  throw error;
}

/** Closed with the test. */
export async function openGateway(
  t: CleansUp,
  redis: RedisSettings | string,
  options: GatewayOptions = {},
): Promise<Gateway> {
  const { keyPrefix = 'spillway', clock = systemClock, commandTimeout = 1000, ledgerDays = 400 } = options;
  const { time, onFault = fail } = options;
  const gateway = randomUUID();
  const settings = typeof redis === 'string' ? ({ kind: 'single', url: redis } as const) : redis;
  const client = openState(
    { redis: settings, keyPrefix, commandTimeout, onOutage: 'deny' },
    { clock: systemClock, chance: Math.random, gateway },
  );
  await client.started;
  const store = new RedisStore({
    client,
    keyPrefix,
    gateway,
    clock,
    commandTimeout,
    ledgerDays,
    onFault,
    ...(time === undefined ? {} : { time }),
  });
  const die = async () => {
    await client.close();
    await store.close();
  };
  t.after(die);
  return { id: store.name, store, client, die };
}

const LEASE = 30_000;

/** Leases of gateways that live, moved to another time. Through all keys: this is a test. */
const KEEP = `
local living = {}
for i = 3, #ARGV do living[ARGV[i]] = true end
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. ':*:g')) do
  for _, gateway in ipairs(redis.call('ZRANGE', key, 0, -1)) do
    if living[gateway] then redis.call('ZADD', key, ARGV[2] + ${LEASE}, gateway) end
  end
end
`;

let rigs = 0;

/** For the suites. Each rig has keys of its own in the same Redis: `nodes` are those that hold them, `settings` how gateways get there. */
export async function openRig(
  t: CleansUp,
  nodes: readonly RedisServer[],
  settings: RedisSettings | string,
  ledgerDays = 400,
): Promise<Rig & { prefix: string }> {
  rigs += 1;
  const prefix = `rig${rigs}`;
  let now = 0;
  const living = new Map<QuotaStore, Gateway>();
  const add = async () => {
    const gateway = await openGateway(t, settings, { keyPrefix: prefix, ledgerDays, time: () => now });
    const { store } = gateway;
    living.set(store, gateway);
    const close = store.close.bind(store);
    store.close = async () => {
      living.delete(store);
      await close();
      await gateway.client.close();
    };
    return store;
  };
  return {
    prefix,
    store: await add(),
    now: () => now,
    async setTime(ms) {
      now = ms;
      const ids = [...living.values()].map(({ id }) => id);
      for (const node of nodes) await node.call('EVAL', KEEP, 0, prefix, ms, ...ids);
    },
    another: add,
    isAskedAgain: true,
    async crash(store) {
      await living.get(store)?.die();
    },
    leaseMs: LEASE,
  };
}

/** Asks for a tenant by this gateway. Time is what the gateway was opened with. */
export function deskOf({ store }: Gateway, tenant = 'acme'): Desk {
  const setTime = () => {
    throw new Error('no rig');
  };
  return new Desk({ store, setTime, now: () => Number.NaN, another: null }, store, tenant);
}

/** Time for some gateways and, handed in, for what they do in Redis: it stands still until it is moved on. */
export class Time {
  readonly #start: number;
  readonly #passed = new ManualClock();
  readonly #clocks = new Map<Gateway, ManualClock>();

  constructor(start: number) {
    this.#start = start;
  }

  readonly now = (): number => this.#start + this.#passed.now();

  async open(t: CleansUp, redis: RedisSettings | string, options: GatewayOptions = {}): Promise<Gateway> {
    const clock = new ManualClock(1_000);
    const gateway = await openGateway(t, redis, { clock, time: this.now, ...options });
    this.#clocks.set(gateway, clock);
    return gateway;
  }

  clockOf(gateway: Gateway): ManualClock {
    const clock = this.#clocks.get(gateway);
    if (clock === undefined) throw new Error('it has not been opened here');
    return clock;
  }

  /** Moves on for all gateways but those that are frozen, second by second, and lets them do what falls due. */
  async pass(ms: number, frozen: readonly Gateway[] = []): Promise<void> {
    for (let left = ms; left > 0; left -= 1_000) {
      this.#passed.advance(Math.min(left, 1_000));
      for (const [gateway, clock] of this.#clocks) {
        if (frozen.includes(gateway)) continue;
        clock.advance(Math.min(left, 1_000));
        await settled(gateway);
      }
    }
  }
}

/** Resolves when all that the gateway has sent so far is answered, and what it sends in turn (a whole script, the next batch) as well. */
export async function settled({ client }: Gateway): Promise<void> {
  for (let i = 0; i < 3; i++) {
    await new Promise(setImmediate);
    if (client.isUp('{acme}')) await client.command('EXISTS', '{acme}').catch(() => {});
  }
}

/** All keys there are, which only tests may ask for, and how long they are kept. Milliseconds; below 0: for ever. */
export async function lifetimes(nodes: readonly RedisServer[]): Promise<Map<string, number>> {
  const kept = new Map<string, number>();
  for (const node of nodes) {
    for await (const keys of node.client.scanStream()) {
      for (const key of keys as string[]) kept.set(key, await node.client.pttl(key));
    }
  }
  return kept;
}

/** Resolves when the gateway has noticed that Redis is away. */
export async function away({ client }: Gateway): Promise<void> {
  await until(() => !client.isUp('{acme}'), 'Redis to be away');
}

/** Mends what a test did to the network, and waits until the gateway has noticed, and has sent what it had. */
export async function back({ client, store }: Gateway, proxy: TcpProxy): Promise<void> {
  proxy.refuses = proxy.toClient.swallow = proxy.toServer.swallow = false;
  // What was lost on the way is not followed by what comes after it.
  proxy.cut();
  await until(() => client.isUp('{acme}'), 'Redis to be back');
  await store.flush(null);
}
