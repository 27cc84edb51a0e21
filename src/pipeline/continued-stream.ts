import type { Transcript } from '../chat/transcript.ts';
import type { JsonObject } from '../core/json.ts';
import { type Failure, OUTCOME_RULES } from '../core/outcome.ts';
import type { Usage } from '../core/usage.ts';
import type { Output } from '../providers/openai/output.ts';
import type { Continuation } from '../upstream/continuing/continuation.ts';
import type { Target } from '../upstream/registry.ts';
import type { BegunStream, StreamSink } from '../upstream/stream-roles.ts';

/** A stream, and the target that writes it. */
export interface Part {
  stream: BegunStream;
  target: Target;
}

/** Finds who goes on with an answer after this part of it broke; a failure if nobody does: what ended the answer. */
export type FindNext = (part: Part, failure: Failure) => Promise<Part | Failure>;

/** A streamed answer that goes on from another target where it breaks, as one stream. */
export class ContinuedStream implements BegunStream {
  readonly #findNext: FindNext;
  #part: Part;
  /** The part that was is over, and the next one is not there yet. */
  #inGap = false;

  constructor(first: Part, findNext: FindNext) {
    this.#part = first;
    this.#findNext = findNext;
  }

  /** The part that is being written, or was written last. */
  get part(): Part {
    return this.#part;
  }

  get usage(): Usage | null {
    return this.#part.stream.usage;
  }

  get passed(): Readonly<Output> {
    return this.#part.stream.passed;
  }

  get lastEvent(): JsonObject | null {
    return this.#part.stream.lastEvent;
  }

  get transcript(): Transcript | null {
    return this.#part.stream.transcript;
  }

  get continuation(): Continuation | null {
    return this.#part.stream.continuation;
  }

  flow(sink: StreamSink): void {
    this.#flowOn(sink);
  }

  /** What comes after a gap finds out by itself whether the reader is ready. */
  resume(): void {
    if (!this.#inGap) this.#part.stream.resume();
  }

  letGo(): void {
    this.#part.stream.letGo();
  }

  #flowOn(sink: StreamSink): void {
    this.#part.stream.flow({
      write: (bytes) => sink.write(bytes),
      end: (failure) => this.#ended(failure, sink),
    });
  }

  #ended(failure: Failure | null, sink: StreamSink): void {
    if (failure === null || !mayGoOn(failure, this.#part.stream.transcript)) {
      sink.end(failure);
      return;
    }
    this.#inGap = true;
    this.#findNext(this.#part, failure).then(
      (next) => {
        this.#inGap = false;
        if ('kind' in next) {
          sink.end(next);
          return;
        }
        this.#part = next;
        this.#flowOn(sink);
      },
      () => sink.end(failure),
    );
  }
}

/** May another target go on after this failure? Never from what only its own writer could finish. */
function mayGoOn({ kind }: Failure, told: Transcript | null): boolean {
  return OUTCOME_RULES[kind].next && told !== null && !told.blocked;
}
