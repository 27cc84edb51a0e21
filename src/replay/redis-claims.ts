import type { Clock, Timer } from '../core/clock.ts';
import type { StateClient } from '../state/client.ts';
import type { StateSettings } from '../state/settings.ts';
import { StateUnavailable } from '../state/unavailable.ts';
import { SCRIPTS } from './claim-scripts.ts';
import { type Claim, type Claimed, type Claims, type Wanted, wantedOf, wantedOfLarge } from './claims.ts';
import { type KeptAnswer, readKept, writeKept } from './kept-answer.ts';
import { type Here, KnownClaims } from './known-claims.ts';
import type { Seal } from './seal.ts';

/** How long a claim outlives its gateway; a living one renews it three times as often. Milliseconds. */
export const LEASE = 10_000;

/** Answers that Redis did not take at once, which are sent again at a time. */
const AT_ONCE = 100;

export interface RedisClaimsOptions {
  client: Pick<StateClient, 'run' | 'isUp'>;
  keyPrefix: string;
  seal: Seal;
  clock: Clock;
  /** This process among others, and after others. */
  gateway: string;
  /** `on_outage`. */
  mode: StateSettings['onOutage'];
  /** Of all answers together that are kept here for as long as Redis is away. Bytes. */
  maxBytes: number;
  /** Redis answered with an error that is not for being away. */
  onFault(error: unknown): void;
  /** Milliseconds; `LEASE` unless a test has less time. */
  lease?: number;
  /** What leases and lives of answers are reckoned by, for tests; Redis' own clock unless said. Whole milliseconds since 1970. */
  time?(): number;
}

/** One that runs here, or whose answer Redis has not got yet. */
interface Held {
  key: string;
  owner: string;
  here: Here;
  /** Has it an answer? */
  done: boolean;
  /** Something of it is on its way. */
  sending: boolean;
}

/**
 * Of all gateways on one Redis. Each claim is kept by compare-and-set on its owner, under a lease that its gateway renews; when that
 * dies, whoever asks next has it.
 *
 * While Redis is away, and nothing denies it, claims and answers are this process' own. As soon as it is back both are brought there,
 * unless another gateway was first; until then they hold here. So what runs when it goes away is not begun again by this gateway,
 * but may be by others once its lease is over; and what is begun meanwhile may be begun by each.
 */
export class RedisClaims implements Claims {
  readonly #options: RedisClaimsOptions;
  readonly #lease: number;
  readonly #known: KnownClaims;
  readonly #held = new Set<Held>();
  /** Questions on their way, by name: all who have the same one share it. */
  readonly #asking = new Map<string, { mark: string; reply: Promise<Claimed> }>();
  readonly #writes = new Set<Promise<void>>();
  #timer: Timer | null = null;
  #count = 0;
  #closed = false;

  constructor(options: RedisClaimsOptions) {
    this.#options = options;
    this.#lease = options.lease ?? LEASE;
    this.#known = new KnownClaims(options.clock, options.maxBytes);
  }

  wanted(tenant: string, key: string, what: readonly (string | Buffer)[]): Wanted {
    return wantedOf(this.#options.seal, tenant, key, what);
  }

  wantedOfLarge(tenant: string, key: string, what: readonly (string | Buffer)[]): Promise<Wanted> {
    return wantedOfLarge(this.#options.seal, tenant, key, what);
  }

  async claim(wanted: Wanted, elsewhere = Number.NEGATIVE_INFINITY): Promise<Claimed> {
    const { name, mark } = wanted;
    for (;;) {
      const known = this.#known.stateOf(wanted);
      if (known !== null) return known;
      const asking = this.#asking.get(name);
      if (asking === undefined) break;
      const shared = await asking.reply;
      if (shared.kind !== 'claimed' && asking.mark === mark) return shared;
    }
    const reply = this.#ask(wanted, elsewhere).finally(() => this.#asking.delete(name));
    this.#asking.set(name, { mark, reply });
    return await reply;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    for (const held of [...this.#held]) {
      if (held.done) this.#write(held);
      else this.#free(held);
    }
    await Promise.all(this.#writes);
  }

  async #ask(wanted: Wanted, elsewhere: number): Promise<Claimed> {
    const { clock, keyPrefix, gateway, mode } = this.#options;
    const key = `${keyPrefix}:{${wanted.tenant}}:i:${wanted.name}`;
    const owner = `${gateway}:${(this.#count++).toString(36)}`;
    try {
      const told = await this.#askRedis(key, owner, wanted, '');
      if (told !== null) return told;
    } catch (error) {
      if (mode === 'deny') throw unavailable(error);
      // Who was alive a moment ago most likely still is, and Redis back before long.
      if (elsewhere > clock.now()) return { kind: 'running', over: null, until: elsewhere };
    }
    const held = { key, owner, here: this.#known.begin(wanted), done: false, sending: false };
    this.#hold(held);
    return { kind: 'claimed', claim: this.#claimOf(held) };
  }

  /** Null: it is ours now. `unreadable`: whose answer is as good as not there. */
  async #askRedis(key: string, owner: string, wanted: Wanted, unreadable: string): Promise<Claimed | null> {
    const reply = await this.#run(SCRIPTS.claim, key, owner, wanted.mark, this.#lease, unreadable);
    const [word, what, whose] = reply as [string, (string | number)?, string?];
    switch (word) {
      case 'claimed':
        return null;
      case 'other':
        return { kind: 'other_body' };
      case 'running':
        return { kind: 'running', over: null, until: this.#options.clock.now() + Number(what) };
    }
    const text = this.#options.seal.open(String(what), key);
    const answer = text === null ? null : readKept(text);
    if (answer !== null) return { kind: 'done', answer };
    if (unreadable !== '') throw new StateUnavailable('redis: it has answers that cannot be read');
    return await this.#askRedis(key, owner, wanted, whose ?? '');
  }

  #claimOf(held: Held): Claim {
    return {
      finish: (answer, ttl) => this.#finish(held, answer, ttl),
      free: () => this.#free(held),
    };
  }

  #finish(held: Held, answer: KeptAnswer, ttl: number): void {
    if (!this.#runs(held)) return;
    held.done = true;
    this.#known.keep(held.here.wanted, answer, ttl);
    this.#known.end(held.here, answer);
    this.#write(held, answer, ttl);
  }

  #free(held: Held): void {
    if (!this.#runs(held)) return;
    this.#held.delete(held);
    this.#known.end(held.here, null);
    // Where that cannot be told, it is known when the lease is over.
    this.#inBackground(() => this.#run(SCRIPTS.free, held.key, held.owner));
  }

  #runs({ here, done }: Held): boolean {
    return !done && this.#known.runs(here.wanted.name) === here;
  }

  /** Brings an answer to Redis, and lets go of it when it is there or another one is. */
  #write(held: Held, given?: KeptAnswer, life?: number): void {
    const { wanted } = held.here;
    const kept = this.#known.kept(wanted.name);
    const answer = given ?? kept?.answer;
    const ttl = life ?? (kept === null ? 0 : kept.until - this.#options.clock.now());
    if (answer === undefined) {
      this.#held.delete(held);
      return;
    }
    held.sending = true;
    this.#inBackground(async () => {
      try {
        const sealed = this.#options.seal.seal(writeKept(answer), held.key);
        await this.#run(SCRIPTS.finish, held.key, held.owner, wanted.mark, Math.ceil(ttl), sealed);
        this.#held.delete(held);
        this.#known.forget(wanted.name);
      } finally {
        held.sending = false;
      }
    });
  }

  #hold(held: Held): void {
    this.#held.add(held);
    if (this.#timer === null && !this.#closed) this.#schedule();
  }

  #schedule(): void {
    this.#timer = this.#options.clock.schedule(this.#lease / 3, () => {
      this.#timer = null;
      this.#keep();
      if (this.#held.size > 0 && !this.#closed) this.#schedule();
    });
  }

  /** Renews what runs here, and sends again what Redis has not taken. */
  #keep(): void {
    let written = 0;
    for (const held of this.#held) {
      const { key, owner, here } = held;
      if (held.sending || !this.#options.client.isUp(key)) continue;
      if (held.done) {
        if (written++ < AT_ONCE) this.#write(held);
        continue;
      }
      held.sending = true;
      this.#inBackground(async () => {
        try {
          // Should another one have it, because we were silent for too long, then that one's answer will be the one that counts.
          await this.#run(SCRIPTS.renew, key, owner, here.wanted.mark, this.#lease);
        } finally {
          held.sending = false;
        }
      });
    }
  }

  #inBackground(work: () => Promise<unknown>): void {
    // Whatever is lost on the way is sent again, or heals when the lease is over.
    const done = work().then(
      () => {},
      () => {},
    );
    this.#writes.add(done);
    void done.then(() => this.#writes.delete(done));
  }

  async #run(
    script: (typeof SCRIPTS)[keyof typeof SCRIPTS],
    key: string,
    ...args: (string | number)[]
  ): Promise<unknown> {
    const { client, time, onFault } = this.#options;
    try {
      return await client.run(script, [key], [time?.() ?? '', ...args]);
    } catch (error) {
      if (!(error instanceof StateUnavailable)) onFault(error);
      throw error;
    }
  }
}

function unavailable(error: unknown): StateUnavailable {
  if (error instanceof StateUnavailable) return error;
  return new StateUnavailable('redis: it answered with an error', { cause: error });
}
