/** What was written, as those are given it who know events by their number. */
export interface Numbered {
  /** With the numbers. */
  told: Buffer;
  /** The events alone, without what only keeps the connection open. Null: none. */
  kept: Buffer | null;
  /** How many events `kept` has. */
  count: number;
}

const LF = 0x0a;
const COLON = 0x3a;
/** Between one event and the next. */
const BLANK_LINE = Buffer.from('\n\n');
const PING = Buffer.from('event: ping\n');
const EMPTY = Buffer.alloc(0);

/**
 * Gives the events of a stream their numbers, as `id` lines: 1, 2, 3 … Comments and pings get none. The events are those that our own streams
 * consist of: lines that end in LF, then a blank one.
 */
export class EventNumbers {
  /** Of the last event. */
  last = 0;
  /** Of an event that is not whole yet. */
  #rest: Buffer = EMPTY;

  /** Bytes that may end anywhere: what is no whole event yet is told with the rest of it. */
  add(bytes: Buffer): Numbered {
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const told: Buffer[] = [];
    /** Null as long as both are the same. */
    let kept: Buffer[] | null = null;
    const before = this.last;
    let start = 0;
    for (;;) {
      const end = all.indexOf(BLANK_LINE, start) + BLANK_LINE.length;
      if (end < start + BLANK_LINE.length) break;
      const event = all.subarray(start, end);
      if (isQuiet(event)) {
        kept ??= [...told];
        told.push(event);
      } else {
        const line = Buffer.from(`id: ${++this.last}\n`, 'latin1');
        told.push(line, event);
        kept?.push(line, event);
      }
      start = end;
    }
    this.#rest = start === all.length ? EMPTY : all.subarray(start);
    const whole = Buffer.concat(told);
    const count = this.last - before;
    return { told: whole, kept: count === 0 ? null : kept === null ? whole : Buffer.concat(kept), count };
  }

  /** What was left of an event that never became whole. */
  end(): Buffer {
    const rest = this.#rest;
    this.#rest = EMPTY;
    return rest;
  }
}

/** It says nothing of the answer: a comment, or Anthropic's ping. */
function isQuiet(event: Buffer): boolean {
  if (event[0] === COLON) return event.indexOf(LF) === event.length - BLANK_LINE.length;
  return event.subarray(0, PING.length).equals(PING);
}

/** Of numbered events, those after this one. */
export function eventsAfter(events: Buffer, after: number): Buffer {
  let start = 0;
  for (let number = firstNumber(events); number <= after && start < events.length; number++) {
    const end = events.indexOf(BLANK_LINE, start);
    start = end < 0 ? events.length : end + BLANK_LINE.length;
  }
  return start === 0 ? events : events.subarray(start);
}

const ID = 'id: ';

/** Of numbered events, the first one's number. */
export function firstNumber(events: Buffer): number {
  const end = events.indexOf(LF);
  return end < 0 ? Number.NaN : Number(events.toString('latin1', ID.length, end));
}
