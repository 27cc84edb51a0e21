/** Clients that ask again and again, and write down what they see. */
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../support/redis.ts';
import type { Member, Seen } from './kit.ts';

export interface Noted extends Seen {
  /** Which gateway was asked. */
  member: Member;
  of: string;
  /** When, by `performance.now()`. */
  at: number;
}

export interface LoadOptions {
  /** Clients of each gateway. */
  clients?: number;
  /** What client number so and so asks for the n-th time: whose key, and more of the body. */
  ask: (client: number, turn: number) => { of: string; body?: object };
}

/** So much between two requests of a client: two cores are to be enough for all. Milliseconds. */
const PAUSE = 10;

export class Load {
  readonly noted: Noted[] = [];
  readonly #members: readonly Member[];
  readonly #running: Promise<void>[];
  #going = true;

  constructor(members: readonly Member[], { clients = 3, ask }: LoadOptions) {
    this.#members = members;
    this.#running = Array.from({ length: clients * members.length }, async (_, number) => {
      const member = members[number % members.length] as Member;
      for (let turn = 0; this.#going; turn++) {
        const { of, body } = ask(number, turn);
        const at = performance.now();
        this.noted.push({ ...(await member.chat(of, body)), member, of, at });
        await delay(PAUSE);
      }
    });
  }

  /** Resolves to those that began from now on, when there are so many of each gateway. */
  async next(count: number): Promise<Noted[]> {
    const from = performance.now();
    const since = () => this.noted.filter(({ at }) => at >= from);
    await until(() => {
      const all = since();
      return this.#members.every((member) => all.filter((one) => one.member === member).length >= count);
    }, 'the load to go on');
    return since();
  }

  async end(): Promise<Noted[]> {
    this.#going = false;
    await Promise.all(this.#running);
    return this.noted;
  }
}

/** The longest of them. Milliseconds. */
export function longest(seen: readonly Seen[]): number {
  return Math.max(0, ...seen.map(({ ms }) => ms));
}

/** Half of them took no longer. Milliseconds. */
export function median(seen: readonly Seen[]): number {
  const sorted = seen.map(({ ms }) => ms).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
