import type { Script, StateClient } from '../../src/state/client.ts';
import { StateUnavailable } from '../../src/state/unavailable.ts';
import { CLAIM, CLOSED, NEWS, OPENED, RELEASED } from '../../src/upstream/board-scripts.ts';
import type { ManualClock } from '../support/manual-clock.ts';

interface Entry {
  seq: number;
  openings: number;
  till: number;
  gateway: string;
  claims: Map<string, { count: number; till: number }>;
}

type Arg = string | number;

/** What the scripts of the board do in Redis, once more and plainly; `memory-redis.test.ts` holds the two together. */
export class MemoryRedis {
  readonly #now: () => number;
  #entries = new Map<string, Entry>();
  #seq: number;

  /** `now`: milliseconds since 1970. */
  constructor(now: () => number) {
    this.#now = now;
    this.#seq = now() * 1000;
  }

  /** As after a restart without a disk. */
  forgetAll(): void {
    this.#entries = new Map();
  }

  /** Probes that are claimed, over all gateways. */
  claimed(id: string): number {
    const claims = this.#entries.get(id)?.claims.values() ?? [];
    return [...claims].filter(({ till }) => till > this.#now()).reduce((sum, { count }) => sum + count, 0);
  }

  run(script: Script, args: readonly Arg[]): unknown {
    const [first, second, ...more] = args.map(String) as [string, string, ...string[]];
    switch (script) {
      case OPENED:
        return this.#opened(first, second, Number(more[0]), Number(more[1]), more[2] ?? '');
      case CLOSED:
        return this.#closed(first, second, Number(more[0]));
      case CLAIM:
        return this.#claim(first, second, more.map(Number));
      case RELEASED:
        return this.#released(first, second, Number(more[0]));
      case NEWS:
        return this.#news(first, Number(second), Number(more[0]), more.slice(1));
    }
    throw new Error(`no script of the board: ${script.lua}`);
  }

  #opened(id: string, gateway: string, till: number, openings: number, after: string): Arg[] {
    const known = this.#entries.get(id);
    if (till <= this.#now()) return this.#word(id);
    if (after !== '') {
      if (known !== undefined && known.seq !== Number(after)) return this.#word(id);
      return this.#say(id, { gateway, openings, till, claims: new Map() });
    }
    if (known === undefined || known.openings === 0)
      return this.#say(id, { gateway, openings, till, claims: new Map() });
    if (known.till >= till && known.openings >= openings) return this.#word(id);
    const longest = { openings: Math.max(known.openings, openings), till: Math.max(known.till, till) };
    return this.#say(id, { ...known, gateway, ...longest });
  }

  #closed(id: string, gateway: string, after: number): Arg[] {
    const known = this.#entries.get(id);
    if (known !== undefined && (known.seq !== after || known.openings === 0)) return this.#word(id);
    return this.#say(id, { gateway, openings: 0, till: 0, claims: new Map() });
  }

  #claim(id: string, gateway: string, numbers: readonly number[]): Arg[] {
    const [wanted = 0, most = 0, lease = 0, openings = 0, after = 0] = numbers;
    const now = this.#now();
    const known = this.#entries.get(id);
    if (known?.openings === 0 && known.seq > after) return [0, ...this.#word(id)];
    if (known === undefined || known.openings === 0)
      this.#say(id, { gateway, openings, till: now, claims: new Map() });
    else if (known.till > now + 100) return [0, ...this.#word(id)];
    const entry = this.#entries.get(id) as Entry;
    let others = 0;
    for (const [holder, { count, till }] of entry.claims) {
      if (till > now && holder !== gateway) others += count;
    }
    if (others + wanted > most) return [0, ...this.#word(id)];
    for (const [holder, { till }] of entry.claims) if (till <= now) entry.claims.delete(holder);
    entry.claims.set(gateway, { count: wanted, till: now + lease });
    return [1, ...this.#word(id)];
  }

  #released(id: string, gateway: string, left: number): null {
    const claims = this.#entries.get(id)?.claims;
    const claim = claims?.get(gateway);
    if (claim !== undefined && left > 0) claim.count = left;
    else claims?.delete(gateway);
    return null;
  }

  #news(gateway: string, after: number, lease: number, held: readonly string[]): Arg[] {
    for (const id of held) {
      const claim = this.#entries.get(id)?.claims.get(gateway);
      if (claim !== undefined) claim.till = this.#now() + lease;
    }
    const news = [...this.#entries]
      .filter(([, { seq }]) => seq > after)
      .sort(([, a], [, b]) => a.seq - b.seq);
    return news.slice(0, 200).flatMap(([id]) => this.#word(id));
  }

  #say(id: string, said: Omit<Entry, 'seq'>): Arg[] {
    this.#seq = Math.max(this.#now() * 1000, this.#seq + 1);
    this.#entries.set(id, { ...said, seq: this.#seq });
    return this.#word(id);
  }

  #word(id: string): Arg[] {
    const entry = this.#entries.get(id);
    if (entry === undefined) return [];
    const { seq, openings, till, gateway } = entry;
    return [id, String(seq), openings, Math.max(0, till - this.#now()), gateway];
  }
}

/** One gateway's connection: what it sends takes its time, there and back, and stays in order. Cut, it answers nothing until it is mended. */
export class Link implements StateClient {
  readonly #redis: MemoryRedis;
  readonly #clock: ManualClock;
  readonly #delay: () => number;
  /** When the last request arrives, and the last answer is back. */
  #there = 0;
  #back = 0;
  cut = false;
  /** Times that anything was asked. */
  trips = 0;

  constructor(redis: MemoryRedis, clock: ManualClock, delay: () => number = () => 0) {
    this.#redis = redis;
    this.#clock = clock;
    this.#delay = delay;
  }

  run(script: Script, _keys: readonly string[], args: readonly Arg[]): Promise<unknown> {
    this.trips += 1;
    if (this.cut) return Promise.reject(new StateUnavailable('cut'));
    const now = this.#clock.now();
    this.#there = Math.max(this.#there, now + this.#delay());
    this.#back = Math.max(this.#back, this.#there + this.#delay());
    const back = this.#back;
    return new Promise((resolve, reject) => {
      this.#clock.schedule(this.#there - now, () => {
        const answer = this.#redis.run(script, args);
        this.#clock.schedule(back - this.#clock.now(), () => {
          if (this.cut) reject(new StateUnavailable('cut'));
          else resolve(answer);
        });
      });
    });
  }

  command(): Promise<unknown> {
    throw new Error('the board runs scripts only');
  }

  time(): number {
    return this.#clock.wall();
  }

  isUp(): boolean {
    return !this.cut;
  }

  get allUp(): boolean {
    return !this.cut;
  }

  onChange(): () => void {
    return () => {};
  }

  async close(): Promise<void> {}
}
