import { randomUUID } from 'node:crypto';
import type { Log } from '../accounting/log.ts';
import type { RuntimeConfig } from '../config/runtime.ts';
import type { Chance, Clock } from '../core/clock.ts';
import { MemoryStore } from '../quota/memory-store.ts';
import { OutageStore } from '../quota/outage.ts';
import { describeChange } from '../quota/outage-mode.ts';
import { RedisStore } from '../quota/redis/store.ts';
import type { QuotaStore } from '../quota/store.ts';
import { openState } from '../state/connect.ts';
import { openPresence } from '../state/presence.ts';
import type { RedisSettings, StateSettings } from '../state/settings.ts';
import { TenantDirectory } from '../tenants/directory.ts';
import { MemoryBacking } from '../tenants/memory-backing.ts';
import { RedisBacking } from '../tenants/redis-backing.ts';
import { RedisBoard } from '../upstream/redis-board.ts';
import { type Replay, replayHere, replayInRedis } from './replay.ts';
import { NoBacking, replayInOneOfSeveral } from './unshared.ts';

/** What several gateways share, or what one keeps to itself where there is no Redis: counts, usage, tenants made through the admin API. */
export interface SharedState {
  store: QuotaStore;
  directory: TenantDirectory;
  replay: Replay;
  /** Where breakers are shared; null: there is nobody to share them with. */
  board: RedisBoard | null;
  /** Can all of it be reached? */
  isUp(): boolean;
  /** Resolves when it is known what is there; not later than a few command timeouts, whether Redis is there or not. */
  start(): Promise<void>;
  /** Brings home what is not yet written, as far as it can be, then ends. */
  close(): Promise<void>;
}

export interface Surroundings {
  clock: Clock;
  chance: Chance;
  log: Log;
  /** Others serve the same clients: what is in the memory of this process is not all there is. */
  isWorker: boolean;
}

/** In Redis if the configuration names one, else in this process. Connecting begins at once; `start` waits for what comes of it. */
export function openSharedState(config: RuntimeConfig, surroundings: Surroundings): SharedState {
  const { redis } = config.state;
  return redis === null
    ? inThisProcess(config, surroundings)
    : inRedis(config, { ...config.state, redis }, surroundings);
}

function inThisProcess(config: RuntimeConfig, { clock, log, isWorker }: Surroundings): SharedState {
  const wall = () => clock.wall();
  const store = new MemoryStore({ wall, ledgerDays: config.quotaDefaults.ledgerDays });
  const backing = isWorker ? new NoBacking(wall) : new MemoryBacking(wall);
  const directory = new TenantDirectory({ backing, clock, log });
  const replay = isWorker ? replayInOneOfSeveral(clock) : replayHere(clock);
  return {
    store,
    directory,
    replay,
    board: null,
    isUp: () => true,
    start: () => directory.start(),
    close: async () => {
      await replay.close();
      await directory.close();
      await store.close();
    },
  };
}

function inRedis(
  config: RuntimeConfig,
  state: StateSettings & { redis: RedisSettings },
  { clock, chance, log }: Surroundings,
): SharedState {
  const { keyPrefix, commandTimeout, onOutage: mode } = state;
  // Of this process' life: one that comes after it is another gateway.
  const gateway = randomUUID();
  const client = openState(state, { clock, chance, gateway });
  const presence = openPresence({ client, keyPrefix, gateway, clock });
  const redis = new RedisStore({
    client,
    keyPrefix,
    gateway,
    clock,
    commandTimeout,
    ledgerDays: config.quotaDefaults.ledgerDays,
    onFault: (error) => log.error({ err: error }, 'the quota store answered with an error'),
  });
  const store = new OutageStore({
    redis,
    client,
    mode,
    alive: () => presence.alive(),
    onMode: (change) => log.warn({ node: change.node, up: change.up, mode }, describeChange(change)),
  });
  const directory = new TenantDirectory({
    backing: new RedisBacking({ client, keyPrefix, commandTimeout }),
    clock,
    log,
  });
  const board = new RedisBoard({
    client,
    keyPrefix,
    gateway,
    clock,
    onFault: (error) => log.error({ err: error }, 'the board of breakers answered with an error'),
  });
  const replay = replayInRedis(config, { client, gateway, clock, log });
  return {
    store,
    directory,
    replay,
    board,
    isUp: () => client.allUp,
    start: async () => {
      await client.started;
      await Promise.all([presence.started, directory.start()]);
    },
    close: async () => {
      await replay.close();
      await board.close();
      await directory.close();
      if (!(await store.flush(null))) {
        log.error(
          {},
          'Redis is away: what was used meanwhile and not yet written there is in no ledger and in no quota',
        );
      }
      await store.close();
      await presence.close();
      await client.close();
    },
  };
}
