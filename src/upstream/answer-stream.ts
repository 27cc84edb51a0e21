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
import { encodeAnew, encodeChunk, isPiece, malformed } from './stream-events.ts';
import { StreamOutlet } from './stream-outlet.ts';
import type { BegunStream, Present, Price, StreamOwner, StreamSink, StreamWishes } from './stream-roles.ts';
import { goneFailure, plainFailure } from './transport-failure.ts';

/** One event may be this large; an image in a delta can be. Bytes. */
const MAX_EVENT = 16 * 1024 * 1024;

/** What comes before the first content, which may be a picture, is kept back up to this. Bytes. */
const MAX_HELD = 1024 * 1024;

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
  readonly #present: Present | null;
  readonly transcript: Transcript | null;
  readonly continuation: Continuation | null;
  readonly #passed: Output = { characters: 0, reasoning: 0 };
  /** What a translator knows before it tells it to the client. */
  #usageKnown: Usage | null = null;
  /** Of a relayed stream of named events: the one that was passed on last. */
  lastEvent: JsonObject | null = null;
  #heard = false;
  /** No more events are looked at. */
  #over = false;
  readonly #outlet: StreamOutlet;
  /** Nobody but the reader wants to know what the events say. */
  readonly #passesUnread: boolean;

  constructor(format: StreamFormat, wishes: StreamWishes, owner: StreamOwner, redact: Redact) {
    this.#format = format;
    this.#reader = format.kind === 'relayed' ? format.reader : new ChunkReader(wishes.choices);
    this.#translation =
      format.kind === 'relayed' ? null : { translator: format.translator, chunks: this.#newSink() };
    this.#decoder = this.#newDecoder();
    this.#owner = owner;
    this.#outlet = new StreamOutlet(owner);
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
    return this.#outlet.flows ? this.#passed : NOTHING;
  }

  /**
   * Every choice has its finish: nothing that comes can make the answer incomplete any more. One of which nothing was the client's has not begun, whatever it
   * finishes.
   */
  get finished(): boolean {
    return this.#outlet.begun && this.#reader.finished;
  }

  /** Hands the stream to its reader: first what was held back, then the rest as it comes. */
  flow(sink: StreamSink): void {
    this.#outlet.flow(sink, this.#present);
  }

  /** The reader can take more. */
  resume(): void {
    if (!this.#over) this.#owner.resume();
  }

  /** Nobody will read it. */
  letGo(): void {
    this.#fail(goneFailure('client_gone'));
  }

  /** Its rest may turn out to have to be asked for. */
  get mayAskForMore(): boolean {
    return this.#translation !== null;
  }

  /** Bytes of the body. */
  push(chunk: Buffer): void {
    this.#outlet.over(chunk);
    try {
      this.#decoder.push(chunk);
    } catch (error) {
      this.#break(malformed(error));
    }
    this.#outlet.flush();
    this.#outlet.over(null);
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
    this.#outlet.flush();
    if (rest !== null && !this.#over) {
      this.#decoder = this.#newDecoder();
      this.#owner.again(rest);
    } else if (this.finished) this.#complete();
    else this.#break('the stream ended without a finish');
  }

  /** The try is over: complete (null), or failed. The reader is told once. */
  finish(failure: Failure | null): void {
    this.#stop();
    this.#outlet.end(failure);
  }

  /** Of a relayed stream: an event that says nothing new but its text passes without a look at the rest. */
  take(bytes: Buffer, start: number): number {
    if (this.#over || !this.#passesUnread || !this.#outlet.begun || !this.#outlet.isOver(bytes)) return 0;
    const end = this.#reader.readAlike?.(bytes, start) ?? 0;
    if (end === 0) return 0;
    this.#count(this.#reader.output);
    this.#outlet.run(start, end);
    this.#hasPassed('content');
    return end;
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
      if (this.#present === null) this.#outlet.write(encodeData(JSON.stringify(told)));
      else if (this.#outlet.flows) this.#writePresented(told, this.#present);
      // Whoever speaks for all of the answer must not be told what may not become a part of it.
      else this.#outlet.hold(told);
    }
    if (told !== null || kind === 'usage') this.#hasPassed(kind);
  }

  #error(error: JsonObject): void {
    // After every finish nothing is missing, whatever went wrong behind it.
    if (this.finished) this.#complete();
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
    if (this.#outlet.begun && this.#reader.finishedAllBegun) this.#complete();
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
      if (!this.#outlet.begun) {
        this.#outlet.begun = true;
        this.#owner.begun();
      }
      if (this.#reader.finished) this.#owner.finished();
    } else if (kind === 'usage' && this.finished) {
      // Nothing is missing now: do not make the client wait for an end mark.
      this.#complete();
    } else if (!this.#outlet.begun && this.#outlet.held > MAX_HELD) {
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
    if (raw !== null && reader.mended === null && price === null) this.#outlet.pass(raw);
    else this.#outlet.write(encodeAnew({ data, type: this.#named ? type : '' }, reader, price));
  }

  #writeChunk(chunk: JsonObject): void {
    this.#outlet.write(encodeChunk(chunk, this.#reader, this.#price, this.#wantsUsage));
  }

  #writePresented(chunk: JsonObject | null, present: Present): void {
    const bytes = chunk === null ? null : present(chunk);
    if (bytes !== null) this.#outlet.write(bytes);
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
    if (this.finished) {
      this.#complete();
      return;
    }
    this.#stop();
    this.#owner.broken(failure);
  }

  #stop(): void {
    if (this.#over) return;
    this.#outlet.flush();
    this.#over = true;
    this.#decoder.stop();
  }
}
