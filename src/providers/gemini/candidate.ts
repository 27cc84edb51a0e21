import type { ChoiceWriter } from '../../chat/writer.ts';
import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import { CallReader } from './calls.ts';
import { CONTINUATION, finishOf } from './finish.ts';
import { Grounding } from './grounding.ts';
import { logprobsOf } from './logprobs.ts';
import { tellPart } from './parts.ts';

/** What was wrong with a response. `why` is for people, and quotes nothing of it. */
export type Fault = { kind: 'unknown' } | { kind: 'damaged' } | { kind: 'broken'; why: string };

/** Tells one choice what comes of one candidate, in one piece or many, of one call or several that go on from each other. */
export class CandidateReader {
  readonly #choice: ChoiceWriter;
  readonly #calls: CallReader;
  readonly #grounding = new Grounding();
  /** Of this call: where its text began in the choice, the text, and where the parts begin. */
  #base = 0;
  #text = '';
  #partStarts: number[] = [];
  /** Something other than text was told as text: places in the text then mean nothing. */
  #mixed = false;
  /** How to go on from what had come when it was said; null = not said. */
  #token: string | null = null;
  /** More has come since. */
  #stale = false;
  /** Google stopped, for a limit of one call. */
  #stopped = false;
  #finished = false;

  constructor(choice: ChoiceWriter) {
    this.#choice = choice;
    this.#calls = new CallReader(choice);
  }

  get finished(): boolean {
    return this.#finished;
  }

  /** What the next call is to say to bring the rest, if this one was not the last. */
  get token(): string | null {
    return this.#finished || (this.#stale && !this.#stopped) ? null : this.#token;
  }

  /** Next: what comes of the call that brings the rest. */
  goOn(): void {
    this.#tellGrounding();
    this.#base = this.#choice.textLength;
    this.#text = '';
    this.#partStarts = [];
    this.#mixed = false;
    this.#token = null;
    this.#stopped = false;
  }

  /** Nobody goes on from here: what Google stopped for its own limit ends as any answer does that grew too long. */
  giveUp(): void {
    if (this.#stopped && !this.#finished) this.#finish('length');
  }

  read(candidate: JsonObject): Fault | null {
    const content = candidate['content'];
    const parts = isJsonObject(content) ? content['parts'] : content;
    let fault: Fault | null = null;
    const tokens = this.#finished ? [] : logprobsOf(candidate['logprobsResult']);
    if (tokens.length > 0) this.#choice.logprobs(tokens);
    if (Array.isArray(parts)) {
      for (const part of parts) {
        fault = worse(fault, this.#part(part));
        if (fault?.kind === 'broken') return fault;
      }
    } else if (parts !== undefined && parts !== null) fault = { kind: 'damaged' };
    this.#grounding.read(candidate);
    const token = candidate['continuationToken'];
    if (typeof token === 'string' && token !== '') {
      this.#token = token;
      this.#stale = false;
    }
    const reason = candidate['finishReason'];
    if (typeof reason === 'string' && reason !== '') return worse(fault, this.#end(reason, candidate));
    return fault;
  }

  /** The prompt was refused. */
  block(refusal: string): void {
    if (this.#finished) return;
    this.#choice.refusal(refusal);
    this.#finish('content_filter');
  }

  #part(part: Json): Fault | null {
    if (this.#finished) {
      // Its finish has been told, and a signature or an empty text changes nothing.
      const brings = isJsonObject(part) && (Boolean(part['text']) || isJsonObject(part['functionCall']));
      return brings ? { kind: 'unknown' } : null;
    }
    this.#partStarts.push(this.#text.length);
    const before = this.#choice.textLength;
    const outcome = tellPart(part, this.#choice, this.#calls);
    const { text, thought, functionCall } = isJsonObject(part) ? part : {};
    if (typeof text === 'string' && thought !== true) this.#text += text;
    else if (this.#choice.textLength > before) this.#mixed = true;
    if (text || functionCall || this.#mixed) this.#stale = true;
    if (outcome === 'told') return null;
    return typeof outcome === 'string' ? { kind: outcome } : { kind: 'broken', why: outcome.broken };
  }

  #end(reason: string, candidate: JsonObject): Fault | null {
    if (this.#finished) return null;
    if (reason === CONTINUATION) {
      this.#stopped = true;
      return null;
    }
    const finish = finishOf(reason, this.#choice.hasToolCalls);
    if (finish === 'failed') {
      return { kind: 'broken', why: `the model's answer failed (${reason})` };
    }
    const message = candidate['finishMessage'];
    if (finish === 'content_filter' && typeof message === 'string') this.#choice.refusal(message);
    this.#finish(finish);
    return null;
  }

  #finish(reason: Parameters<ChoiceWriter['finish']>[0]): void {
    this.#calls.close();
    this.#tellGrounding();
    this.#finished = true;
    this.#choice.finish(reason);
  }

  #tellGrounding(): void {
    const text = this.#mixed ? '' : this.#text;
    this.#grounding.tell(this.#choice, { text, partStarts: this.#partStarts, base: this.#base });
  }
}

/** What weighs more. */
export function worse(a: Fault | null, b: Fault | null): Fault | null {
  const rank = (fault: Fault | null) =>
    fault === null ? 0 : { unknown: 1, damaged: 2, broken: 3 }[fault.kind];
  return rank(b) > rank(a) ? b : a;
}
