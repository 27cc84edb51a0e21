import type { Log } from '../accounting/log.ts';
import type { RuntimeConfig } from '../config/runtime.ts';
import type { Clock } from '../core/clock.ts';
import type { CacheServices } from '../pipeline/cached.ts';
import type { Claims } from '../replay/claims.ts';
import { Flights } from '../replay/flights.ts';
import { MemoryCache } from '../replay/memory-cache.ts';
import { MemoryClaims } from '../replay/memory-claims.ts';
import { MemoryStreams } from '../replay/memory-streams.ts';
import { RedisCache } from '../replay/redis-cache.ts';
import { RedisClaims } from '../replay/redis-claims.ts';
import { RedisStreams } from '../replay/redis-streams.ts';
import { Seal } from '../replay/seal.ts';
import type { StreamLogs } from '../replay/stream-log.ts';
import type { StateClient } from '../state/client.ts';

/** What is kept of answers, to be given again. */
export interface Replay {
  claims: Claims;
  /** For requests that mean the same. */
  cache: CacheServices;
  /** For clients that come back to them. */
  streams: StreamLogs;
  /** Brings home what is not yet written, as far as it can be, then ends. */
  close(): Promise<void>;
}

/** Of all answers together that are kept in this process for an `Idempotency-Key`. Bytes. */
const MOST_CLAIMED = 64 * 1024 * 1024;

/** Kept in this process, and gone with it. */
export function replayHere(clock: Clock): Replay {
  const claims = new MemoryClaims({ clock, maxBytes: MOST_CLAIMED });
  const streams = new MemoryStreams(clock);
  return {
    claims,
    streams,
    cache: { store: new MemoryCache({ wall: () => clock.wall() }), flights: new Flights() },
    close: async () => {
      await Promise.all([claims.close(), streams.close()]);
    },
  };
}

/** Kept in Redis for all gateways, sealed where the configuration has a key for it. */
export function replayInRedis(
  config: RuntimeConfig,
  { client, gateway, clock, log }: { client: StateClient; gateway: string; clock: Clock; log: Log },
): Replay {
  const { keyPrefix, onOutage: mode } = config.state;
  const onFault = (error: unknown) =>
    log.error({ err: error }, 'the store of answers answered with an error');
  const seal = new Seal(config.idempotency.encryptionKey);
  const claims = new RedisClaims({
    client,
    keyPrefix,
    seal,
    clock,
    gateway,
    mode,
    maxBytes: MOST_CLAIMED,
    onFault,
  });
  const streams = new RedisStreams({ client, keyPrefix, gateway, seal, clock, onFault });
  const wall = () => clock.wall();
  return {
    claims,
    streams,
    cache: { store: new RedisCache({ client, keyPrefix, seal, wall, onFault }), flights: new Flights() },
    close: async () => {
      await Promise.all([claims.close(), streams.close()]);
    },
  };
}
