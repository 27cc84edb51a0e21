import type { Failure } from '../core/outcome.ts';
import type { Redact } from '../core/redact.ts';
import type { Usage } from '../core/usage.ts';
import { type ChunkKind, ChunkReader } from '../providers/openai/chunk.ts';
import { readInBandError } from '../providers/openai/failure.ts';
import type { Output } from '../providers/openai/output.ts';
import { withCost } from '../providers/openai/usage-cost.ts';
import { SseDecoder, type SseSink } from '../sse/decoder.ts';
import { encodeData } from '../sse/encoder.ts';
import { plainFailure } from './transport-failure.ts';

/** One event may be this large; an image in a delta can be. Bytes. */
const MAX_EVENT = 16 * 1024 * 1024;

/** What comes before the first content is kept back up to this. Bytes. */
const MAX_HELD = 1024 * 1024;

const NOTHING: Output = { characters: 0, reasoning: 0 };

/** Where a stream's bytes go once it has begun. */
export interface StreamSink {
  /** Takes bytes of whole events. False: the reader is slow; write no more until `resume`. */
  write(bytes: Buffer): boolean;
  /** The stream is over: complete (null), or broken. Called once, last. */
  end(failure: Failure | null): void;
}

/** What this usage costs, in US dollars; null if no price is known. */
export type Price = (usage: Usage) => number | null;

/** What a stream tells the try that it belongs to. */
export interface StreamOwner {
  /** The first content has come: the try has succeeded so far. */
  begun(): void;
  /** Every choice has its finish: only usage and the end are still to come. Again where a host sends more content all the same. */
  finished(): void;
  /** All that the client needs has come, though the body may go on. */
  complete(): void;
  broken(failure: Failure): void;
  /** An event was dropped because it made no sense. */
  dropped(): void;
  /** The reader is slow: read no more of the body until `resume`. */
  pause(): void;
  resume(): void;
}

/**
 * The events of one streamed answer on their way to the client. Until the first content everything is held back; then the
 * events pass as the bytes that they came in. Only what is no chunk, or what the client did not ask for, is left out.
 */
export class ChatStream implements SseSink {
  readonly #reader: ChunkReader;
  readonly #decoder: SseDecoder;
  readonly #owner: StreamOwner;
  readonly #redact: Redact;
  readonly #wantsUsage: boolean;
  readonly #price: Price | null;
  readonly #passed: Output = { characters: 0, reasoning: 0 };
  #begun = false;
  /** No more events are looked at. */
  #over = false;
  /** The reader has been told the end, or will be by `flow`. */
  #told = false;
  #sink: StreamSink | null = null;
  /** Before there is a sink: what it will get. */
  #held: Buffer[] = [];
  #heldBytes = 0;
  #heldEnd: { failure: Failure | null } | null = null;
  /** The chunk at hand, and the run of its bytes that can pass as they are. */
  #run: { start: number; end: number } | null = null;
  #chunk: Buffer | null = null;

  /** `price`: what is said as `usage.cost` to a client that wants usage; null says nothing. */
  constructor(
    choices: number,
    wantsUsage: boolean,
    owner: StreamOwner,
    redact: Redact,
    price: Price | null = null,
  ) {
    this.#reader = new ChunkReader(choices);
    this.#decoder = new SseDecoder(this, MAX_EVENT);
    this.#owner = owner;
    this.#redact = redact;
    this.#wantsUsage = wantsUsage;
    this.#price = price;
  }

  get usage(): Usage | null {
    return this.#reader.usage;
  }

  /** How much output has gone to the client, over all choices; nothing while all is held back. */
  get passed(): Readonly<Output> {
    return this.#sink === null ? NOTHING : this.#passed;
  }

  /** Every choice has its finish: nothing that comes can make the answer incomplete any more. */
  get finished(): boolean {
    return this.#reader.finished;
  }

  /** Hands the stream to its reader: first what was held back, then the rest as it comes. */
  flow(sink: StreamSink): void {
    const held = this.#held;
    this.#held = [];
    // What nobody is there to take has not passed.
    const gone = this.#heldEnd?.failure?.kind === 'client_gone';
    let ready = true;
    if (!gone) {
      this.#sink = sink;
      for (const bytes of held) ready = sink.write(bytes);
    }
    if (this.#heldEnd !== null) sink.end(this.#heldEnd.failure);
    else if (ready) this.#owner.resume();
  }

  /** The reader can take more. */
  resume(): void {
    if (!this.#over) this.#owner.resume();
  }

  /** Bytes of the body. */
  push(chunk: Buffer): void {
    this.#chunk = chunk;
    try {
      this.#decoder.push(chunk);
    } catch (error) {
      this.#break(malformed(error));
    }
    this.#flush();
    this.#chunk = null;
  }

  /** The body has ended as it should, by the rules of HTTP. */
  bodyEnded(): void {
    if (this.#over) return;
    try {
      this.#decoder.end();
    } catch (error) {
      this.#break(malformed(error));
    }
    this.#flush();
    if (this.#reader.finished) this.#complete();
    else this.#break('the stream ended without a finish');
  }

  /** The try is over: complete (null), or failed. The reader is told once. */
  finish(failure: Failure | null): void {
    this.#stop();
    if (this.#told) return;
    this.#told = true;
    if (this.#sink !== null) this.#sink.end(failure);
    else this.#heldEnd = { failure };
  }

  event(data: string, type: string, raw: Buffer | null): void {
    if (this.#over) return;
    const kind: ChunkKind = this.#reader.read(data, type);
    switch (kind) {
      case 'done':
        if (this.#reader.finishedAllBegun) this.#complete();
        else this.#break('the stream said [DONE] without a finish');
        return;
      case 'error':
        // After every finish nothing is missing, whatever went wrong behind it.
        if (this.#reader.finished) this.#complete();
        else this.#fail(readInBandError(this.#reader.error ?? {}, this.#redact));
        return;
      case 'invalid':
        this.#owner.dropped();
        if (this.#reader.callingTool) this.#break('an event in the middle of a tool call was not valid JSON');
        return;
      case 'foreign':
        this.#owner.dropped();
        return;
      case 'ping':
        return;
      case 'usage':
        if (this.#wantsUsage) this.#pass(data, raw);
        // Nothing is missing now: do not make the client wait for an end mark.
        if (this.#reader.finished) this.#complete();
        return;
      case 'content':
        this.#pass(data, raw);
        if (!this.#begun) {
          this.#begun = true;
          this.#owner.begun();
        }
        if (this.#reader.finished) this.#owner.finished();
        return;
      case 'quiet':
        this.#pass(data, raw);
    }
  }

  /** The event goes on: as its own bytes where they lie in the chunk at hand, else written anew. */
  #pass(data: string, raw: Buffer | null): void {
    const chunk = this.#chunk;
    const reader = this.#reader;
    this.#passed.characters += reader.output.characters;
    this.#passed.reasoning += reader.output.reasoning;
    const price = reader.reportsUsage && this.#wantsUsage ? this.#price : null;
    if (raw === null || reader.mended !== null || price !== null) {
      this.#flush();
      this.#write(this.#encode(data, price));
      return;
    }
    if (chunk === null || !isWithin(raw, chunk)) {
      this.#flush();
      this.#write(raw);
      return;
    }
    const start = raw.byteOffset - chunk.byteOffset;
    const run = this.#run;
    if (run !== null && run.end === start) run.end = start + raw.length;
    else {
      this.#flush();
      this.#run = { start, end: start + raw.length };
    }
  }

  #encode(data: string, price: Price | null): Buffer {
    const { mended, usage } = this.#reader;
    let text = mended === null ? data : JSON.stringify(mended);
    if (price !== null && usage !== null) text = withCost(text, price(usage));
    // Line ends in JSON mean nothing, and many a client reads only one data line.
    return encodeData(text.includes('\n') ? text.replaceAll('\n', ' ') : text);
  }

  /** Writes the run of passed events. */
  #flush(): void {
    const run = this.#run;
    if (run === null || this.#chunk === null) return;
    this.#run = null;
    this.#write(
      run.start === 0 && run.end === this.#chunk.length
        ? this.#chunk
        : this.#chunk.subarray(run.start, run.end),
    );
  }

  #write(bytes: Buffer): void {
    if (this.#sink !== null) {
      if (!this.#sink.write(bytes)) this.#owner.pause();
      return;
    }
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
    if (!this.#begun && this.#heldBytes > MAX_HELD) this.#break('too much came before the first content');
  }

  #complete(): void {
    if (this.#over) return;
    this.#stop();
    this.#owner.complete();
  }

  #break(why: string): void {
    this.#fail(plainFailure('broken_body', why));
  }

  #fail(failure: Failure): void {
    if (this.#over) return;
    // What goes wrong after the last finish takes nothing from the answer.
    if (this.#reader.finished) {
      this.#complete();
      return;
    }
    this.#stop();
    this.#owner.broken(failure);
  }

  #stop(): void {
    if (this.#over) return;
    this.#flush();
    this.#over = true;
    this.#decoder.stop();
  }
}

/** Small buffers share their memory with others that have nothing to do with them. */
function isWithin(inner: Buffer, outer: Buffer): boolean {
  return (
    inner.buffer === outer.buffer &&
    inner.byteOffset >= outer.byteOffset &&
    inner.byteOffset + inner.length <= outer.byteOffset + outer.length
  );
}

function malformed(error: unknown): string {
  return `malformed stream: ${error instanceof Error ? error.message : String(error)}`;
}
