import type { Clock } from '../core/clock.ts';
import type { Claimed, Wanted } from './claims.ts';
import type { KeptAnswer } from './kept-answer.ts';

/** What an answer takes besides its texts: two objects, their names and marks. Bytes. */
const OVERHEAD = 1024;

/** One that runs here. */
export interface Here {
  wanted: Wanted;
  /** Resolves when it has ended. */
  over: Promise<KeptAnswer | null>;
  ended(answer: KeptAnswer | null): void;
}

interface Shelved {
  mark: string;
  answer: KeptAnswer;
  /** In the clock's monotonic milliseconds. */
  until: number;
  size: number;
}

/**
 * What one process knows of claims by itself: those that run here, as many as there are requests under way, and answers up to a bound,
 * of which those go first that nobody has asked for the longest.
 */
export class KnownClaims {
  readonly #clock: Clock;
  readonly #maxBytes: number;
  readonly #running = new Map<string, Here>();
  /** Longest unasked first. */
  readonly #shelf = new Map<string, Shelved>();
  #size = 0;

  constructor(clock: Clock, maxBytes: number) {
    this.#clock = clock;
    this.#maxBytes = maxBytes;
  }

  /** Bytes that answers take here. */
  get size(): number {
    return this.#size;
  }

  running(): IterableIterator<Here> {
    return this.#running.values();
  }

  /** What can be said without asking anybody else; null: nothing. */
  stateOf({ name, mark }: Wanted): Claimed | null {
    const here = this.runs(name);
    if (here !== null) {
      if (here.wanted.mark !== mark) return { kind: 'other_body' };
      // Nothing but its end ends it.
      return { kind: 'running', over: here.over, until: Number.POSITIVE_INFINITY };
    }
    const kept = this.kept(name);
    if (kept === null) return null;
    return kept.mark === mark ? { kind: 'done', answer: kept.answer } : { kind: 'other_body' };
  }

  runs(name: string): Here | null {
    return this.#running.get(name) ?? null;
  }

  /** Begins to run. Nothing of the name may be running. */
  begin(wanted: Wanted): Here {
    const { promise: over, resolve: ended } = Promise.withResolvers<KeptAnswer | null>();
    const here = { wanted, over, ended };
    this.#running.set(wanted.name, here);
    return here;
  }

  /** It runs no more: all who wait are told. */
  end(here: Here, answer: KeptAnswer | null): void {
    this.#running.delete(here.wanted.name);
    here.ended(answer);
  }

  /** The answer that is kept here under a name, and what to. */
  kept(name: string): { mark: string; answer: KeptAnswer; until: number } | null {
    const found = this.#shelf.get(name);
    if (found === undefined) return null;
    this.#shelf.delete(name);
    if (this.#clock.now() >= found.until) {
      this.#size -= found.size;
      return null;
    }
    this.#shelf.set(name, found);
    return found;
  }

  keep({ name, mark }: Wanted, answer: KeptAnswer, ttl: number): void {
    this.forget(name);
    const size = sizeOf(answer);
    if (size > this.#maxBytes) return;
    this.#shelf.set(name, { mark, answer, until: this.#clock.now() + ttl, size });
    this.#size += size;
    for (const oldest of this.#shelf.keys()) {
      if (this.#size <= this.#maxBytes) break;
      this.forget(oldest);
    }
  }

  forget(name: string): void {
    this.#size -= this.#shelf.get(name)?.size ?? 0;
    this.#shelf.delete(name);
  }
}

/** Not more than two bytes a character. */
function sizeOf({ body, headers }: KeptAnswer): number {
  let characters = body.length;
  for (const [name, value] of Object.entries(headers)) characters += name.length + value.length;
  return 2 * characters + OVERHEAD;
}
