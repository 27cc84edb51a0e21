import type { Clock, Timer } from '../core/clock.ts';
import type { Script, StateClient } from './client.ts';
import type { OpenState } from './connect.ts';

export interface PresenceOptions {
  client: StateClient & Pick<OpenState, 'started'>;
  keyPrefix: string;
  /** This process among others. */
  gateway: string;
  clock: Clock;
}

/** Which gateways share a Redis: each says now and then that it is there. */
export interface Presence {
  /** How many there are, this one among them: the most that were seen of late. While Redis is away, the last that was known. */
  alive(): number;
  /** Resolves when it has been said for the first time, or could not be. */
  readonly started: Promise<void>;
  /** Says that this one is going. */
  close(): Promise<void>;
}

/** Milliseconds. */
const RENEW = 5_000;
/** A gateway that was not heard of for so long is gone: it may miss two renewals. Milliseconds. */
const LEASE = 15_000;

/** Scores are when a lease ends. One that ends later than a lease can is of before a clock was set back. */
const RENEWAL: Script = {
  lua: `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lease = tonumber(ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '(' .. now + lease, '+inf')
redis.call('ZADD', KEYS[1], now + lease, ARGV[1])
redis.call('PEXPIRE', KEYS[1], lease)
return redis.call('ZCARD', KEYS[1])
`,
};

export function openPresence(options: PresenceOptions): Presence {
  return new Gateways(options);
}

class Gateways implements Presence {
  readonly started: Promise<void>;
  readonly #options: PresenceOptions;
  readonly #key: string;
  readonly #unlisten: () => void;
  /** What was seen within the last lease, and when. */
  #seen: { count: number; at: number }[] = [];
  #timer: Timer | null = null;
  #renewing: Promise<void> | null = null;
  #closed = false;

  constructor(options: PresenceOptions) {
    this.#options = options;
    // No tenant is called `!`.
    this.#key = `${options.keyPrefix}:{!}:gateways`;
    // Not before it is connected, which may take longer than a command may: in a process that starts up on a busy machine, say.
    this.started = options.client.started.then(() => (this.#closed ? undefined : this.#renew()));
    // After a restart it holds nobody, until each has said it again.
    this.#unlisten = options.client.onChange(({ up }) => {
      if (up && options.client.isUp(this.#key)) void this.#renew();
    });
  }

  alive(): number {
    let most = 1;
    for (const { count } of this.#seen) most = Math.max(most, count);
    return most;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#unlisten();
    this.#timer?.cancel();
    const { client, gateway } = this.#options;
    // Behind a renewal that is under way, which would bring it back.
    await this.#renewing;
    await client.command('ZREM', this.#key, gateway).catch(() => {});
  }

  #renew(): Promise<void> {
    this.#renewing ??= this.#say().finally(() => {
      this.#renewing = null;
    });
    return this.#renewing;
  }

  async #say(): Promise<void> {
    const { client, gateway, clock } = this.#options;
    this.#timer?.cancel();
    try {
      const count = Number(await client.run(RENEWAL, [this.#key], [gateway, LEASE]));
      const now = clock.now();
      this.#seen = [...this.#seen.filter(({ at }) => at > now - LEASE), { count, at: now }];
    } catch {
      // Whoever listens to the client hears of it there. Who was there is still the best that is known.
    }
    if (!this.#closed) this.#timer = clock.schedule(RENEW, () => void this.#renew());
  }
}
