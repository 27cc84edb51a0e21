import type { Cancellation } from '../core/cancellation.ts';
import type { Failure, TryRecord } from '../core/outcome.ts';
import { NANODOLLARS, type Spent } from '../core/usage.ts';
import type { Answer } from '../upstream/answer.ts';
import type { Continuing } from '../upstream/continuing/continuing.ts';
import { mayPrefill } from '../upstream/continuing/prefilled.ts';
import type { Target } from '../upstream/registry.ts';
import { goneFailure } from '../upstream/transport-failure.ts';
import { ContinuedStream, type Part } from './continued-stream.ts';
import { Parts } from './parts.ts';
import type { Spending } from './spending.ts';
import { TrackRecords } from './track-records.ts';

/** An answer that breaks this often is given up. */
const MOST_CONTINUATIONS = 8;

/** What finding somebody else takes. */
export interface Going {
  /**
   * Walks the request's tree again, past the targets that are to be skipped. Null: none of the others answered. `ended`: one of them failed so that nobody
   * else is asked.
   */
  again(skip: (target: Target) => boolean, continuing: Continuing): Promise<Answer | 'ended' | null>;
  /** Of the request. */
  cancellation: Cancellation;
  /** Of the request, as they come. */
  tries: readonly TryRecord[];
  spending: Spending;
}

/** An answer that goes on where it breaks. */
export interface Lasting {
  stream: ContinuedStream;
  /** What it took once it is over; null where it never broke, or did so before anybody could go on. */
  spent(whole: boolean): Spent | null;
}

/** The answer, gone on with where it breaks: by targets that are not tried yet, then by those that failed, and last by those that it broke off at. */
export function lasting({ stream, target, presenter }: Answer & { kind: 'stream' }, going: Going): Lasting {
  const parts = new Parts(going.spending);
  const search = new Search(parts, presenter, going);
  const continued = new ContinuedStream({ stream, target }, (part, failure) => search.next(part, failure));
  return {
    stream: continued,
    spent(whole) {
      const { part } = continued;
      return part.stream.continuation === null ? null : parts.spentUpTo(part, whole);
    },
  };
}

class Search {
  readonly #parts: Parts;
  readonly #presenter: Continuing['presenter'];
  readonly #going: Going;
  readonly #records: TrackRecords;
  #continuations = 0;
  #diverged = false;

  constructor(parts: Parts, presenter: Continuing['presenter'], going: Going) {
    this.#parts = parts;
    this.#presenter = presenter;
    this.#going = going;
    this.#records = new TrackRecords(going.tries);
  }

  async next(part: Part, failure: Failure): Promise<Part | Failure> {
    this.#parts.broke(part);
    this.#records.brokeAt(part.target.settings.id);
    const { transcript: told } = part.stream;
    if (told === null || this.#continuations === MOST_CONTINUATIONS) return failure;
    this.#continuations++;
    const continuing: Continuing = {
      told,
      presenter: this.#presenter,
      toldTokens: this.#parts.told,
      diverged: this.#diverged,
      total: (target, contribution, reported) => {
        const { usage, cost } = this.#parts.spent({ target, reported, contribution, whole: true });
        return { usage, cost: cost === null ? null : cost / NANODOLLARS };
      },
    };
    const inVain = (target: Target) => continuing.diverged && !mayPrefill(target, told);
    for (const isItsTurn of this.#turns()) {
      const found = await this.#ask((target) => !isItsTurn(target) || inVain(target), continuing);
      this.#diverged = continuing.diverged;
      if (found === 'ended') return failure;
      if (found !== null) return found;
    }
    return failure;
  }

  /** Whose turn it is, one walk after the other. A client that waits in the midst of its answer is not kept waiting by whoever cools down while others are ready. */
  #turns(): ((target: Target) => boolean)[] {
    const records = this.#records;
    const isReady = ({ lanes }: Target) => lanes.some(({ upstream }) => upstream.cooldownLeft() === 0);
    return [
      (target) => records.of(target.settings.id) === 'untried' && isReady(target),
      (target) => records.of(target.settings.id) === 'failed' && isReady(target),
      ({ settings: { id } }) => records.of(id) !== 'not_again' && !records.wasAsked(id),
    ];
  }

  /** Null: none of them answered, and others may be asked. */
  async #ask(
    skip: (target: Target) => boolean,
    continuing: Continuing,
  ): Promise<Part | Failure | 'ended' | null> {
    const { cancellation } = this.#going;
    const answer = await this.#going.again(skip, continuing);
    if (answer !== 'ended' && answer?.kind === 'stream')
      return { stream: answer.stream, target: answer.target };
    if (cancellation.reason !== null) return goneFailure(cancellation.reason);
    return answer === 'ended' ? 'ended' : null;
  }
}
