import type { JsonObject } from '../core/json.ts';
import type { Failure } from '../core/outcome.ts';
import { HeldBack } from './held-back.ts';
import type { Present, StreamOwner, StreamSink } from './stream-roles.ts';

/** From here on, what has begun comes no further before there is a reader, who is hardly ever further away than the end of a read. Bytes. */
const ENOUGH_HELD = 64 * 1024;

/**
 * Where the events of a stream go: held back as long as there is no reader, then to it. Of the bytes at hand, events side by side that pass
 * as they came are a run, which is written as one.
 */
export class StreamOutlet {
  /** The first content has come. */
  begun = false;
  readonly #owner: Pick<StreamOwner, 'pause' | 'resume'>;
  #sink: StreamSink | null = null;
  /** Before there is a sink: what it will get. */
  #held: HeldBack | null = new HeldBack();
  /** The reader has been told the end, or will be by `flow`. */
  #told = false;
  /** The bytes at hand, and where the run in them begins and ends. */
  #bytes: Buffer | null = null;
  #start = 0;
  #end = 0;

  constructor(owner: Pick<StreamOwner, 'pause' | 'resume'>) {
    this.#owner = owner;
  }

  /** There is a reader, and one that takes what comes. */
  get flows(): boolean {
    return this.#sink !== null;
  }

  /** Bytes that are held back. */
  get held(): number {
    return this.#held?.size ?? 0;
  }

  /** Hands everything to its reader: first what was held back. */
  flow(sink: StreamSink, present: Present | null): void {
    const held = this.#held;
    this.#held = null;
    const end = held?.end ?? null;
    // What nobody is there to take has not passed.
    if (end?.failure?.kind !== 'client_gone') this.#sink = sink;
    const ready = held === null || this.#sink === null || held.writeTo(sink, present);
    if (end !== null) sink.end(end.failure);
    else if (ready) this.#owner.resume();
    else this.#owner.pause();
  }

  /** Nothing of a run is left of the bytes before. Null: there are none. */
  over(bytes: Buffer | null): void {
    this.#bytes = bytes;
    this.#start = 0;
    this.#end = 0;
  }

  isOver(bytes: Buffer): boolean {
    return bytes === this.#bytes;
  }

  /** An event that goes on as it came. Small buffers share their memory with others: it may be none of the bytes at hand. */
  pass(event: Buffer): void {
    const bytes = this.#bytes;
    const start = bytes?.buffer === event.buffer ? event.byteOffset - bytes.byteOffset : -1;
    const end = start + event.length;
    if (bytes !== null && start >= 0 && end <= bytes.length) this.run(start, end);
    else this.write(event);
  }

  /** What stands there in the bytes at hand goes on as it came. */
  run(start: number, end: number): void {
    if (this.#end !== start) this.flush();
    if (this.#end <= this.#start) this.#start = start;
    this.#end = end;
  }

  /** Writes the run, if there is one. */
  flush(): void {
    const bytes = this.#bytes;
    const start = this.#start;
    const end = this.#end;
    if (bytes === null || end <= start) return;
    this.#start = 0;
    this.#end = 0;
    this.#write(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end));
  }

  /** Bytes of whole events, after all that went on before. */
  write(bytes: Buffer): void {
    this.flush();
    this.#write(bytes);
  }

  #write(bytes: Buffer): void {
    if (this.#sink !== null) {
      if (!this.#sink.write(bytes)) this.#owner.pause();
    } else if (this.#held !== null) {
      this.#held.add(bytes);
      if (this.begun && this.#held.size > ENOUGH_HELD) this.#owner.pause();
    }
  }

  /** Put into the client's words when there is a reader. */
  hold(chunk: JsonObject): void {
    this.#held?.addChunk(chunk);
  }

  /** That was all: complete (null), or failed. The reader is told once. */
  end(failure: Failure | null): void {
    if (this.#told) return;
    this.#told = true;
    if (this.#sink !== null) this.#sink.end(failure);
    else if (this.#held !== null) this.#held.end = { failure };
  }
}
