import type { Clock } from '../core/clock.ts';
import { ApiError } from '../core/errors.ts';
import type { TenantBacking } from '../tenants/backing.ts';
import { type Replay, replayHere } from './replay.ts';

/**
 * For one of several processes behind a port, without Redis: which of them a request comes to is chance, so none may promise what
 * only one of them would know of.
 */
export function replayInOneOfSeveral(clock: Clock): Replay {
  const replay = replayHere(clock);
  return {
    ...replay,
    claims: {
      claim: (wanted) => replay.claims.claim(wanted),
      close: () => replay.claims.close(),
      wanted: onceRefused,
      wantedOfLarge: async () => onceRefused(),
    },
    streams: {
      // None is there: whoever asks is told so.
      read: async () => 'unknown',
      remove: async () => false,
      close: () => replay.streams.close(),
      open: () => {
        throw refused('x-spillway-resume', 'that a stream is found again');
      },
    },
  };
}

function onceRefused(): never {
  throw refused('Idempotency-Key', 'that a request with an `Idempotency-Key` runs once');
}

/** Tenants of the file alone. */
export class NoBacking implements TenantBacking {
  readonly kind = 'memory';
  readonly feed = null;
  readonly time: () => number;

  /** `time`: milliseconds since 1970. */
  constructor(time: () => number) {
    this.time = time;
  }

  async write(): Promise<never> {
    throw refused(null, 'that a tenant is known to all of them');
  }
}

function refused(param: string | null, promise: string): ApiError {
  const message = `This gateway runs several workers without \`state.redis\`, and cannot promise ${promise}. Its operator can set \`state.redis\`, or \`server.workers: 1\`.`;
  return new ApiError('needs_shared_state', message, { param });
}
