import type { JsonObject } from '../core/json.ts';
import type { Failure } from '../core/outcome.ts';
import type { Redact } from '../core/redact.ts';
import type { Usage } from '../core/usage.ts';
import type { ChunkSink, FrameDecoder, StreamFormat, StreamTranslator } from '../providers/adapter.ts';
import type { ChunkKind, EventReader } from '../providers/event-reader.ts';
import { readInBandError } from '../providers/failure.ts';
import { ChunkReader } from '../providers/openai/chunk.ts';
import type { Output } from '../providers/openai/output.ts';
import { withCost } from '../providers/openai/usage-cost.ts';
import { SseDecoder, type SseSink } from '../sse/decoder.ts';
import { encodeData, encodeEvent } from '../sse/encoder.ts';
import type { Price, StreamOwner, StreamSink, StreamWishes } from './stream-roles.ts';
import { plainFailure } from './transport-failure.ts';

/** One event may be this large; an image in a delta can be. Bytes. */
const MAX_EVENT = 16 * 1024 * 1024;

/** What comes before the first content is kept back up to this. Bytes. */
const MAX_HELD = 1024 * 1024;

const NOTHING: Output = { characters: 0, reasoning: 0 };

/**
 * The events of one streamed answer on their way to the client. Until the first content everything is held back; then they pass: as the bytes
 * that they came in where the target speaks the client's dialect, else translated. What is no part of an answer, or what the client did
 * not ask for, is left out.
 */
export class AnswerStream implements SseSink {
  readonly #reader: EventReader;
  readonly #translation: { translator: StreamTranslator; chunks: ChunkSink } | null;
  readonly #format: StreamFormat;
  #decoder: FrameDecoder;
  readonly #owner: StreamOwner;
  readonly #redact: Redact;
  readonly #wantsUsage: boolean;
  readonly #named: boolean;
  readonly #price: Price | null;
  readonly #present: ((chunk: JsonObject) => Buffer | null) | null;
  readonly #passed: Output = { characters: 0, reasoning: 0 };
  /** What a translator knows before it tells it to the client. */
  #usageKnown: Usage | null = null;
  /** Of a relayed stream: the event that was passed on last. */
  lastEvent: JsonObject | null = null;
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
  /** The bytes at hand, and the run of them that can pass as they are. */
  #run: { start: number; end: number } | null = null;
  #bytes: Buffer | null = null;

  constructor(format: StreamFormat, wishes: StreamWishes, owner: StreamOwner, redact: Redact) {
    this.#format = format;
    this.#reader = format.kind === 'relayed' ? format.reader : new ChunkReader(wishes.choices);
    this.#translation =
      format.kind === 'relayed' ? null : { translator: format.translator, chunks: this.#newSink() };
    this.#decoder = this.#newDecoder();
    this.#owner = owner;
    this.#redact = redact;
    this.#wantsUsage = wishes.wantsUsage;
    this.#named = wishes.named;
    this.#price = wishes.price ?? null;
    this.#present = wishes.present ?? null;
  }

  /** Where a translator puts what it makes. */
  #newSink(): ChunkSink {
    return {
      chunk: (chunk) => this.#chunk(chunk),
      usage: (usage) => {
        this.#usageKnown = usage;
      },
      error: (error) => this.#error(error),
      invalid: () => this.#invalid(),
      foreign: () => this.#foreign(),
      broken: (why) => this.#break(why),
      done: () => this.#done(),
    };
  }

  #newDecoder(): FrameDecoder {
    const format = this.#format;
    return format.kind === 'translated' && format.decoder !== undefined
      ? format.decoder({ event: (data, type) => this.event(data, type, null) })
      : new SseDecoder(this, MAX_EVENT);
  }

  /** What the answer took, as far as the upstream has told. */
  get usage(): Usage | null {
    return this.#reader.usage ?? this.#usageKnown;
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
    this.#bytes = chunk;
    try {
      this.#decoder.push(chunk);
    } catch (error) {
      this.#break(malformed(error));
    }
    this.#flush();
    this.#bytes = null;
  }

  /** The body has ended as it should, by the rules of HTTP. */
  bodyEnded(): void {
    if (this.#over) return;
    let rest: readonly Buffer[] | null = null;
    try {
      this.#decoder.end();
      if (this.#translation !== null && !this.#over) {
        const { translator, chunks } = this.#translation;
        rest = translator.end(chunks);
      }
    } catch (error) {
      this.#break(malformed(error));
    }
    this.#flush();
    if (rest !== null && !this.#over) {
      this.#decoder = this.#newDecoder();
      this.#owner.again(rest);
    } else if (this.#reader.finished) this.#complete();
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
    if (this.#translation !== null) {
      const { translator, chunks } = this.#translation;
      translator.event(data, type, chunks);
      return;
    }
    const kind = this.#reader.read(data, type);
    if (kind === 'invalid' && this.#named && !isPiece(type)) {
      this.#break(`an event '${type.slice(0, 50)}' was not valid JSON, and what follows builds on it`);
      return;
    }
    if (!this.#isToPass(kind)) return;
    this.lastEvent = this.#reader.value;
    this.#count();
    if (this.#present !== null)
      this.#writePresented(this.#reader.mended ?? this.#reader.value, this.#present);
    else this.#pass(data, type, raw);
    this.#hasPassed(kind);
  }

  /** What a translator made. */
  #chunk(chunk: JsonObject): void {
    if (this.#over || !(this.#reader instanceof ChunkReader)) return;
    const kind = this.#reader.readValue(chunk);
    if (!this.#isToPass(kind)) return;
    this.#count();
    if (this.#present !== null) this.#writePresented(chunk, this.#present);
    else this.#writeChunk(chunk);
    this.#hasPassed(kind);
  }

  #error(error: JsonObject): void {
    // After every finish nothing is missing, whatever went wrong behind it.
    if (this.#reader.finished) this.#complete();
    else this.#fail(readInBandError(error, this.#redact));
  }

  #invalid(): void {
    if (this.#over) return;
    this.#owner.dropped();
    if (this.#reader.callingTool) this.#break('an event in the middle of a tool call was not valid JSON');
  }

  #foreign(): void {
    if (!this.#over) this.#owner.dropped();
  }

  #done(): void {
    if (this.#reader.finishedAllBegun) this.#complete();
    else this.#break('the stream came to its end without a finish');
  }

  /** Deals with all that brings the client nothing; true: the event is the client's. */
  #isToPass(kind: ChunkKind): boolean {
    switch (kind) {
      case 'content':
      case 'quiet':
        return true;
      case 'usage':
        if (this.#wantsUsage) return true;
        this.#hasPassed(kind);
        return false;
      case 'done':
        this.#done();
        return false;
      case 'error':
        this.#error(this.#reader.error ?? {});
        return false;
      case 'invalid':
        this.#invalid();
        return false;
      case 'foreign':
        this.#foreign();
        return false;
      case 'ping':
        return false;
    }
  }

  #hasPassed(kind: ChunkKind): void {
    if (kind === 'usage') {
      // Nothing is missing now: do not make the client wait for an end mark.
      if (this.#reader.finished) this.#complete();
    } else if (kind === 'content') {
      if (!this.#begun) {
        this.#begun = true;
        this.#owner.begun();
      }
      if (this.#reader.finished) this.#owner.finished();
    }
  }

  #count(): void {
    const { output } = this.#reader;
    this.#passed.characters += output.characters;
    this.#passed.reasoning += output.reasoning;
  }

  /** The event goes on: as its own bytes where they lie in the bytes at hand, else written anew. */
  #pass(data: string, type: string, raw: Buffer | null): void {
    const bytes = this.#bytes;
    const reader = this.#reader;
    const price = reader.reportsUsage && this.#wantsUsage ? this.#price : null;
    if (raw === null || reader.mended !== null || price !== null) {
      this.#flush();
      this.#write(this.#encode(data, type, price));
      return;
    }
    if (bytes === null || !isWithin(raw, bytes)) {
      this.#flush();
      this.#write(raw);
      return;
    }
    const start = raw.byteOffset - bytes.byteOffset;
    const run = this.#run;
    if (run !== null && run.end === start) run.end = start + raw.length;
    else {
      this.#flush();
      this.#run = { start, end: start + raw.length };
    }
  }

  #encode(data: string, type: string, price: Price | null): Buffer {
    const { mended, usage } = this.#reader;
    let text = mended === null ? data : JSON.stringify(mended);
    if (price !== null && usage !== null) text = withCost(text, price(usage));
    // Line ends in JSON mean nothing, and many a client reads only one data line.
    const line = text.includes('\n') ? text.replaceAll('\n', ' ') : text;
    return this.#named && type !== '' ? encodeEvent(type, line) : encodeData(line);
  }

  #writeChunk(chunk: JsonObject): void {
    const { reportsUsage, usage } = this.#reader;
    const cost = reportsUsage && usage !== null ? (this.#price?.(usage) ?? null) : null;
    let told = chunk;
    if (cost !== null) told = { ...chunk, usage: { ...(chunk['usage'] as JsonObject), cost } };
    // As OpenAI's own chunks have it, for who asked for usage.
    else if (this.#wantsUsage && chunk['usage'] === undefined) told = { ...chunk, usage: null };
    this.#write(encodeData(JSON.stringify(told)));
  }

  #writePresented(chunk: JsonObject | null, present: (chunk: JsonObject) => Buffer | null): void {
    const bytes = chunk === null ? null : present(chunk);
    if (bytes !== null) this.#write(bytes);
  }

  /** Writes the run of passed events. */
  #flush(): void {
    const run = this.#run;
    if (run === null || this.#bytes === null) return;
    this.#run = null;
    this.#write(
      run.start === 0 && run.end === this.#bytes.length
        ? this.#bytes
        : this.#bytes.subarray(run.start, run.end),
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

/** By its type, an event that a stream can go on without: in dialects of named events all others say what the pieces belong to. */
function isPiece(type: string): boolean {
  return type === 'ping' || type === '' || type.endsWith('delta');
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
