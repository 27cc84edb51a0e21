/** Gateways in front of an upstream that bears so many requests a second and refuses the others, in simulated time. */
import { Cancellation } from '../../src/core/cancellation.ts';
import type { Chance } from '../../src/core/clock.ts';
import { LONGEST_TURN, Pacer } from '../../src/resilience/pacer.ts';
import { ManualClock } from '../support/manual-clock.ts';

export interface Scene {
  /** Says whether there is room for one more request. */
  upstream(clock: ManualClock): () => boolean;
  /** Requests a second that come to each gateway, by chance; or what they are at a time, in milliseconds since the start. */
  offered: readonly (number | ((ms: number) => number))[];
  /** So many come to each gateway at once when the quiet is over. */
  atOnce?: number;
  /** Nobody asks for anything before. Seconds; 0 where it is not said. */
  quiet?: number;
  /** Until an answer has come, more or less. Milliseconds. */
  roundTrip: number;
  /** Not counted, and counted. Seconds. */
  warmUp: number;
  counted: number;
  seed: number;
  paced: boolean;
}

export interface Result {
  /** Answers a second, of each gateway. */
  answered: number[];
  /** The share of 429s among all answers. */
  refused: number;
  /** Timers that are left when no more requests come. */
  leaked: number;
}

/** A bucket that is filled steadily. */
export function bucket(perSecond: number, size: number): Scene['upstream'] {
  return (clock) => {
    let tokens = size;
    let at = clock.now();
    return () => {
      tokens = Math.min(size, tokens + ((clock.now() - at) * perSecond) / 1000);
      at = clock.now();
      if (tokens < 1) return false;
      tokens -= 1;
      return true;
    };
  };
}

/** The same, but nothing is borne between two times: in milliseconds since the start. */
export function refusingAt(upstream: Scene['upstream'], from: number, to: number): Scene['upstream'] {
  return (clock) => {
    const hasRoom = upstream(clock);
    return () => hasRoom() && (clock.now() < from || clock.now() >= to);
  };
}

/** So many in each stretch by the clock, and then none until it is over. */
export function fixedWindow(perWindow: number, windowMs: number): Scene['upstream'] {
  return (clock) => {
    let window = -1;
    let taken = 0;
    return () => {
      const now = Math.floor(clock.now() / windowMs);
      if (now !== window) taken = 0;
      window = now;
      if (taken === perWindow) return false;
      taken++;
      return true;
    };
  };
}

export async function simulate(scene: Scene): Promise<Result> {
  const chance = seeded(scene.seed);
  const clock = new ManualClock();
  const hasRoom = scene.upstream(clock);
  const gateways = scene.offered.map(
    (perSecond) => new Gateway({ clock, hasRoom, chance, perSecond, ...scene }),
  );
  await clock.advanceAsync(((scene.quiet ?? 0) + scene.warmUp) * 1000);
  for (const gateway of gateways) gateway.answered = gateway.refused = 0;
  await clock.advanceAsync(scene.counted * 1000);
  const answered = gateways.reduce((sum, gateway) => sum + gateway.answered, 0);
  const refused = gateways.reduce((sum, gateway) => sum + gateway.refused, 0);
  const result = {
    answered: gateways.map((gateway) => gateway.answered / scene.counted),
    refused: refused / (answered + refused),
  };
  for (const gateway of gateways) gateway.open = false;
  await clock.advanceAsync(60_000);
  return { ...result, leaked: clock.pending };
}

class Gateway {
  answered = 0;
  refused = 0;
  /** Do requests still come? */
  open = true;
  readonly #clock: ManualClock;
  readonly #hasRoom: () => boolean;
  readonly #chance: Chance;
  readonly #perSecond: (ms: number) => number;
  readonly #roundTrip: number;
  readonly #pacer: Pacer | null;
  /** As a 429 without a word about how long brings them: a second, doubled by each in a row. */
  #coolsUntil = 0;
  #inARow = 0;
  #cooledAt = -1;

  constructor(
    of: Pick<Scene, 'quiet' | 'atOnce' | 'roundTrip' | 'paced'> & {
      clock: ManualClock;
      hasRoom: () => boolean;
      chance: Chance;
      perSecond: number | ((ms: number) => number);
    },
  ) {
    this.#clock = of.clock;
    this.#hasRoom = of.hasRoom;
    this.#chance = of.chance;
    const { perSecond } = of;
    this.#perSecond = typeof perSecond === 'number' ? () => perSecond : perSecond;
    this.#roundTrip = of.roundTrip;
    this.#pacer = of.paced ? new Pacer(of.clock) : null;
    this.#clock.schedule((of.quiet ?? 0) * 1000, () => {
      for (let i = 0; i < (of.atOnce ?? 0); i++) void this.#request();
      this.#awaitNext();
    });
  }

  #awaitNext(): void {
    if (!this.open) return;
    this.#clock.schedule((-Math.log(1 - this.#chance()) * 1000) / this.#perSecond(this.#clock.now()), () => {
      void this.#request();
      this.#awaitNext();
    });
  }

  async #request(): Promise<void> {
    if (this.#clock.now() < this.#coolsUntil) return;
    const turn = await (this.#pacer?.turn(LONGEST_TURN, new Cancellation()) ?? null);
    if (turn !== null && !('waitedMs' in turn)) return;
    const startedAt = this.#clock.now();
    this.#clock.schedule(this.#roundTrip * (0.25 + this.#chance() * 0.25), () => {
      const answered = this.#hasRoom();
      this.#clock.schedule(this.#roundTrip * (0.25 + this.#chance() * 0.5), () => {
        if (answered) this.#succeeded(startedAt);
        else this.#wasRefused(startedAt);
      });
    });
  }

  #succeeded(startedAt: number): void {
    this.answered++;
    this.#inARow = 0;
    this.#pacer?.succeeded(startedAt);
  }

  #wasRefused(startedAt: number): void {
    this.refused++;
    const now = this.#clock.now();
    if (startedAt > this.#cooledAt) {
      this.#inARow++;
      this.#cooledAt = now;
    }
    const wait = Math.min(60_000, 1000 * 2 ** Math.max(0, this.#inARow - 1));
    this.#coolsUntil = Math.max(this.#coolsUntil, now + wait);
    this.#pacer?.refused(startedAt, this.#coolsUntil - now);
  }
}

/** Chance that is the same for the same seed (mulberry32). */
export function seeded(seed: number): Chance {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
