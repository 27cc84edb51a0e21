import type { Transcript } from '../chat/transcript.ts';
import type { JsonObject } from '../core/json.ts';
import type { Failure } from '../core/outcome.ts';
import type { Redact } from '../core/redact.ts';
import type { Usage } from '../core/usage.ts';
import type { ChunkSink, FrameDecoder, StreamFormat, StreamTranslator } from '../providers/adapter.ts';
import type { ChunkKind, EventReader } from '../providers/event-reader.ts';
import { readInBandError } from '../providers/failure.ts';
import { ChunkReader } from '../providers/openai/chunk.ts';
import type { Output } from '../providers/openai/output.ts';
import { SseDecoder, type SseSink } from '../sse/decoder.ts';
import { encodeData } from '../sse/encoder.ts';
import type { Continuation } from './continuing/continuation.ts';
import { HeldBack } from './held-back.ts';
import { PassingRun } from './passing-run.ts';
import { encodeAnew, encodeChunk, isPiece, malformed } from './stream-events.ts';
import type { BegunStream, Price, StreamOwner, StreamSink, StreamWishes } from './stream-roles.ts';
import { plainFailure } from './transport-failure.ts';

/** One event may be this large; an image in a delta can be. Bytes. */
const MAX_EVENT = 16 * 1024 * 1024;

/** What comes before the first content, which may be a picture, is kept back up to this. Bytes. */
const MAX_HELD = 1024 * 1024;

/** From here on, what has begun comes no further before there is a reader, who is hardly ever further away than the end of a read. Bytes. */
const ENOUGH_HELD = 64 * 1024;

const NOTHING: Output = { characters: 0, reasoning: 0 };

/**
 * The events of one streamed answer on their way to the client. Until the first content everything is held back; then they pass: as the bytes
 * that they came in where the target speaks the client's dialect, else translated. What is no part of an answer, or what the client did
 * not ask for, is left out.
 */
export class AnswerStream implements BegunStream, SseSink {
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
  readonly transcript: Transcript | null;
  readonly continuation: Continuation | null;
  readonly #passed: Output = { characters: 0, reasoning: 0 };
  /** What a translator knows before it tells it to the client. */
  #usageKnown: Usage | null = null;
  /** Of a relayed stream of named events: the one that was passed on last. */
  lastEvent: JsonObject | null = null;
  #begun = false;
  #heard = false;
  /** No more events are looked at. */
  #over = false;
  /** The reader has been told the end, or will be by `flow`. */
  #told = false;
  #sink: StreamSink | null = null;
  /** Before there is a sink: what it will get. */
  #held: HeldBack | null = new HeldBack();
  readonly #run = new PassingRun();
  /** Nobody but the reader wants to know what the events say. */
  readonly #passesUnread: boolean;

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
    this.transcript = wishes.transcript ?? null;
    this.continuation = wishes.continuation ?? null;
    this.#passesUnread = this.#present === null && this.transcript === null && this.continuation === null;
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
    this.#held = null;
    const end = held?.end ?? null;
    // What nobody is there to take has not passed.
    if (end?.failure?.kind !== 'client_gone') this.#sink = sink;
    const ready = held === null || this.#sink === null || held.writeTo(sink, this.#present);
    if (end !== null) sink.end(end.failure);
    else if (ready) this.#owner.resume();
    else this.#owner.pause();
  }

  /** The reader can take more. */
  resume(): void {
    if (!this.#over) this.#owner.resume();
  }

  /** Bytes of the body. */
  push(chunk: Buffer): void {
    this.#run.over(chunk);
    try {
      this.#decoder.push(chunk);
    } catch (error) {
      this.#break(malformed(error));
    }
    this.#flush();
    this.#run.over(null);
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
    else if (this.#held !== null) this.#held.end = { failure };
  }

  /** Of a relayed stream: an event that says nothing new but its text passes without a look at the rest. */
  take(bytes: Buffer, start: number, data: number, end: number): boolean {
    if (this.#over || !this.#begun || !this.#passesUnread || !this.#run.isOver(bytes)) return false;
    if (this.#reader.readAlike?.(bytes, data, end) !== true) return false;
    this.#count(this.#reader.output);
    this.#runOn(start, end + 2);
    this.#hasPassed('content');
    return true;
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
    if (this.continuation !== null) {
      this.#goOn(this.#reader.mended ?? this.#reader.value, kind, this.continuation);
      return;
    }
    if (this.#named) this.lastEvent = this.#reader.value;
    this.#count(this.#reader.output);
    if (this.#reader.value !== null) this.transcript?.note(this.#reader.value);
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
    if (this.continuation !== null) {
      this.#goOn(chunk, kind, this.continuation);
      return;
    }
    this.#count(this.#reader.output);
    this.transcript?.note(chunk);
    if (this.#present !== null) this.#writePresented(chunk, this.#present);
    else this.#writeChunk(chunk);
    this.#hasPassed(kind);
  }

  /** A chunk of an answer that the client has the beginning of: only what is new in it counts, and passes. */
  #goOn(chunk: JsonObject | null, kind: ChunkKind, continuation: Continuation): void {
    if (kind === 'content' && !this.#heard) {
      this.#heard = true;
      this.#owner.heard();
    }
    const told = chunk === null ? null : continuation.tell(chunk, this.#reader);
    if (continuation.differs) {
      this.#stop();
      this.#owner.broken(plainFailure('diverged', 'it did not go on as the answer had begun'));
      return;
    }
    if (told !== null) {
      this.#count(continuation.output);
      this.transcript?.note(told);
      if (this.#present === null) this.#write(encodeData(JSON.stringify(told)));
      else if (this.#sink !== null) this.#writePresented(told, this.#present);
      // Whoever speaks for all of the answer must not be told what may not become a part of it.
      else this.#held?.addChunk(told);
    }
    if (told !== null || kind === 'usage') this.#hasPassed(kind);
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
    if (kind === 'content') {
      if (!this.#begun) {
        this.#begun = true;
        this.#owner.begun();
      }
      if (this.#reader.finished) this.#owner.finished();
    } else if (kind === 'usage' && this.#reader.finished) {
      // Nothing is missing now: do not make the client wait for an end mark.
      this.#complete();
    } else if (!this.#begun && this.#held !== null && this.#held.size > MAX_HELD) {
      this.#break('too much came before the first content');
    }
  }

  #count(output: Readonly<Output>): void {
    this.#passed.characters += output.characters;
    this.#passed.reasoning += output.reasoning;
  }

  /** The event goes on: as its own bytes where they lie in the bytes at hand, else written anew. */
  #pass(data: string, type: string, raw: Buffer | null): void {
    const reader = this.#reader;
    const price = reader.reportsUsage && this.#wantsUsage ? this.#price : null;
    if (raw === null || reader.mended !== null || price !== null) {
      this.#flush();
      this.#write(encodeAnew({ data, type: this.#named ? type : '' }, reader, price));
      return;
    }
    const start = this.#run.placeOf(raw);
    if (start >= 0) this.#runOn(start, start + raw.length);
    else {
      this.#flush();
      this.#write(raw);
    }
  }

  #runOn(start: number, end: number): void {
    if (this.#run.add(start, end)) return;
    this.#flush();
    this.#run.add(start, end);
  }

  #writeChunk(chunk: JsonObject): void {
    this.#write(encodeChunk(chunk, this.#reader, this.#price, this.#wantsUsage));
  }

  #writePresented(chunk: JsonObject | null, present: (chunk: JsonObject) => Buffer | null): void {
    const bytes = chunk === null ? null : present(chunk);
    if (bytes !== null) this.#write(bytes);
  }

  /** Writes the run of passed events. */
  #flush(): void {
    const bytes = this.#run.take();
    if (bytes !== null) this.#write(bytes);
  }

  #write(bytes: Buffer): void {
    if (this.#sink !== null) {
      if (!this.#sink.write(bytes)) this.#owner.pause();
    } else if (this.#held !== null) {
      this.#held.add(bytes);
      if (this.#begun && this.#held.size > ENOUGH_HELD) this.#owner.pause();
    }
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
