import type { Timer } from '../core/clock.ts';
import { eventsAfter, firstNumber } from './number-events.ts';
import type { Dropped, Reading, ReadingEnd, ReadingSink } from './stream-log.ts';
import { SCRIPTS } from './stream-scripts.ts';
import { placeOf, type StreamPlace } from './stream-upload.ts';

/** Between two looks: less while something comes, more while it is quiet. Milliseconds. */
const SHORTEST_WAIT = 50;
const LONGEST_WAIT = 200;

/** Of one look; a single batch may be more. Bytes. */
const PAGE = 256 * 1024;

/**
 * How long its lease must have been over, as it is seen from here, before a writer is taken to be dead: when Redis comes back, the writer needs a
 * moment to renew. Longer than it lets pass between two renewals, or tries. Milliseconds.
 */
export const SURELY_DEAD = 4_000;

/** How long a reader waits for a Redis that is away. Milliseconds. */
const PATIENCE = 30_000;

/** What is there after an event. */
export interface Page {
  kind: 'page';
  dialect: string;
  /** Of the last event there is. */
  last: number;
  over: boolean;
  /** The writer's lease is over. */
  lapsed: boolean;
  batches: { last: number; sealed: string }[];
}

/** What there is after this event, a page at most. `none`: nothing is called so. `gone`: it was removed. Rejects with StateUnavailable. */
export async function lookAfter(
  place: StreamPlace,
  after: number,
): Promise<Page | Dropped | 'gone' | 'none'> {
  const answer = (await place.client.run(SCRIPTS.read, place.keys, [after, PAGE])) as (string | number)[];
  const [word, second, last, over, lapsed, ...pairs] = answer;
  if (word === 'gone' || word === 'none') return word;
  if (word === 'dropped') return { kind: 'dropped', first: Number(second) };
  const batches = Array.from({ length: pairs.length / 2 }, (_, i) => ({
    sealed: String(pairs[2 * i]),
    last: Number(pairs[2 * i + 1]),
  }));
  return {
    kind: 'page',
    dialect: String(second),
    last: Number(last),
    over: over === 1,
    lapsed: lapsed === 1,
    batches,
  };
}

/** Was it sealed with the key of this gateway? As far as that shows: there may be nothing yet. */
export function isReadable(place: StreamPlace, { batches: [first] }: Page): boolean {
  return first === undefined || textOf(place, first) !== null;
}

function textOf(place: StreamPlace, { sealed, last }: Page['batches'][number]): string | null {
  return place.seal.open(sealed, placeOf(place, last));
}

/** Follows a stream that another gateway writes, in Redis. */
export class PollReading implements Reading {
  readonly dialect: string;
  readonly #place: StreamPlace;
  #after: number;
  /** What has been read, but not yet been taken. */
  #page: Page;
  #sink: ReadingSink | null = null;
  #ready = true;
  #looking = false;
  #timer: Timer | null = null;
  #wait = SHORTEST_WAIT;
  /** Since when nobody is known to write it, and since when Redis is away. */
  #lapsedAt: number | null = null;
  #awayAt: number | null = null;

  /** `page`: what was there after `after`. */
  constructor(place: StreamPlace, page: Page, after: number) {
    this.#place = place;
    this.#page = page;
    this.#after = after;
    this.dialect = page.dialect;
  }

  flow(sink: ReadingSink): void {
    this.#sink = sink;
    this.#deliver();
  }

  resume(): void {
    this.#ready = true;
    // What was to be looked for may be due by now, or is on its way.
    if (this.#timer === null && !this.#looking) this.#deliver();
  }

  close(): void {
    this.#sink = null;
    this.#timer?.cancel();
  }

  #deliver(): void {
    const { batches, last, over, lapsed } = this.#page;
    const hadSome = batches.length > 0;
    while (this.#sink !== null && this.#ready && batches.length > 0) {
      const batch = batches.shift() as Page['batches'][number];
      const text = textOf(this.#place, batch);
      if (text === null) {
        this.#end('unreadable');
        return;
      }
      const events = Buffer.from(text);
      // Nobody reads over a hole.
      if (!(firstNumber(events) <= this.#after + 1)) {
        this.#end('behind');
        return;
      }
      const rest = eventsAfter(events, this.#after);
      this.#after = batch.last;
      this.#ready = this.#sink.write(rest);
    }
    if (this.#sink === null || batches.length > 0) return;
    if (this.#after < last) {
      // There is more: it waits for nothing but its reader.
      if (this.#ready) void this.#look();
    } else if (over) this.#end('over');
    else if (this.#isDead(lapsed)) this.#end('interrupted');
    else if (this.#ready) {
      this.#wait = hadSome ? SHORTEST_WAIT : Math.min(2 * this.#wait, LONGEST_WAIT);
      this.#lookIn(this.#wait);
    }
  }

  #isDead(lapsed: boolean): boolean {
    if (!lapsed) {
      this.#lapsedAt = null;
      return false;
    }
    const now = this.#place.clock.now();
    this.#lapsedAt ??= now;
    return now - this.#lapsedAt >= SURELY_DEAD;
  }

  #lookIn(ms: number): void {
    this.#timer = this.#place.clock.schedule(ms, () => {
      this.#timer = null;
      void this.#look();
    });
  }

  async #look(): Promise<void> {
    this.#looking = true;
    const found = await lookAfter(this.#place, this.#after).catch(() => null);
    this.#looking = false;
    if (found === null) {
      this.#away();
      return;
    }
    this.#awayAt = null;
    if (found === 'gone') this.#end('removed');
    // Its life is over, or Redis has lost it; the writer, if there is one, brings it back.
    else if (found === 'none') this.#lost();
    else if (found.kind === 'dropped') this.#end('behind');
    else {
      this.#page = found;
      this.#deliver();
    }
  }

  #lost(): void {
    if (this.#isDead(true)) this.#end('interrupted');
    else if (this.#sink !== null) this.#lookIn(LONGEST_WAIT);
  }

  #away(): void {
    const now = this.#place.clock.now();
    this.#awayAt ??= now;
    this.#lapsedAt = null;
    if (now - this.#awayAt >= PATIENCE) this.#end('away');
    else if (this.#sink !== null) this.#lookIn(LONGEST_WAIT);
  }

  #end(how: ReadingEnd): void {
    const sink = this.#sink;
    this.close();
    sink?.end(how);
  }
}
