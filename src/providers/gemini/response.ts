import type { AnswerWriter } from '../../chat/writer.ts';
import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import type { Usage } from '../../core/usage.ts';
import { CandidateReader, type Fault, worse } from './candidate.ts';
import { sumOf, UsageReader } from './usage.ts';

/** Calls for one answer: a million tokens, more than which no model gives, by the 32,768 that one call gives where it is not a stream. */
const MOST_CALLS = 32;
/** More candidates than can be asked for are none. */
const MOST_CANDIDATES = 128;

/** What a response holds that means something here, or is known to mean nothing. */
const KNOWN = [
  'candidates',
  'promptFeedback',
  'usageMetadata',
  'modelVersion',
  'responseId',
  'createTime',
  'modelStatus',
];

/** Tells a writer what comes of one question: a response, the pieces of a stream, and what goes on from either in further calls. */
export class ResponseReader {
  readonly #writer: AnswerWriter;
  readonly #choices: number;
  readonly #body: readonly Buffer[];
  readonly #candidates = new Map<number, CandidateReader>();
  #usage = new UsageReader();
  /** Of the calls before this one. */
  #usageBefore: Usage | null = null;
  #calls = 1;
  /** What this call went on from. */
  #wentOnFrom: string | null = null;

  /** `choices`: how many were asked for. `body`: the call's. */
  constructor(writer: AnswerWriter, choices: number, body: readonly Buffer[]) {
    this.#writer = writer;
    this.#choices = choices;
    this.#body = body;
  }

  /** All that were asked for have their finish. */
  get finished(): boolean {
    if (this.#candidates.size < this.#choices) return false;
    return [...this.#candidates.values()].every(({ finished }) => finished);
  }

  get usage(): Usage | null {
    return sumOf(this.#usageBefore, this.#usage.usage);
  }

  /** A response, or a piece of one. Returns what is wrong with it, the worst first. */
  read(response: JsonObject): Fault | null {
    const { candidates, modelVersion, usageMetadata, promptFeedback } = response;
    if (typeof modelVersion === 'string') this.#writer.model(modelVersion);
    this.#readUsage(usageMetadata);
    let fault: Fault | null = null;
    if (Array.isArray(candidates)) {
      for (const [place, candidate] of candidates.entries()) {
        fault = worse(fault, this.#candidate(candidate, place));
      }
    } else if (candidates !== undefined && candidates !== null) fault = { kind: 'damaged' };
    const nobody = !Array.isArray(candidates) || candidates.length === 0;
    if (nobody && isJsonObject(promptFeedback)) this.#readFeedback(promptFeedback);
    if (fault === null && !KNOWN.some((name) => Object.hasOwn(response, name))) return { kind: 'unknown' };
    return fault;
  }

  /** The call has ended. The body of the one that brings the rest; null if there is none to come, or none that could be brought. */
  rest(): readonly Buffer[] | null {
    const [candidate] = this.#candidates.values();
    // One of several cannot be gone on with by itself.
    const token = this.#candidates.size === 1 ? candidate?.token : null;
    if (candidate && token && token !== this.#wentOnFrom && this.#calls < MOST_CALLS) {
      this.#calls++;
      this.#wentOnFrom = token;
      this.#usageBefore = this.usage;
      this.#usage = new UsageReader();
      candidate.goOn();
      const member = `,"continuationToken":${JSON.stringify(token)}}`;
      const last = this.#body.at(-1) as Buffer;
      return [...this.#body.slice(0, -1), last.subarray(0, -1), Buffer.from(member)];
    }
    for (const one of this.#candidates.values()) one.giveUp();
    return null;
  }

  #candidate(candidate: Json, place: number): Fault | null {
    if (!isJsonObject(candidate)) return { kind: 'damaged' };
    const { index = place } = candidate;
    if (typeof index !== 'number' || !(index >= 0 && index < MOST_CANDIDATES)) return { kind: 'damaged' };
    return this.#reader(Math.floor(index)).read(candidate);
  }

  #reader(index: number): CandidateReader {
    let reader = this.#candidates.get(index);
    if (reader === undefined) {
      reader = new CandidateReader(this.#writer.choice(index));
      this.#candidates.set(index, reader);
    }
    return reader;
  }

  #readUsage(metadata: Json | undefined): void {
    if (!isJsonObject(metadata)) return;
    this.#usage.read(metadata);
    const { usage } = this;
    if (usage !== null) this.#writer.usage(usage);
    const tier = metadata['serviceTier'];
    if (typeof tier === 'string' && /^[a-z]{1,20}$/.test(tier)) {
      this.#writer.extra('service_tier', tier === 'standard' ? 'default' : tier);
    }
  }

  /**
   * A prompt that was refused comes with status 200 and is paid for: an answer without content, as OpenAI's own filter gives. Another target is
   * not asked, nor is this one again.
   */
  #readFeedback({ blockReason, blockReasonMessage }: JsonObject): void {
    if (typeof blockReason !== 'string' || blockReason === '') return;
    const reason = /^[A-Z_]{1,50}$/.test(blockReason) ? ` (${blockReason})` : '';
    const message =
      typeof blockReasonMessage === 'string' && blockReasonMessage !== '' ? blockReasonMessage : null;
    this.#reader(0).block(message ?? `The prompt was blocked by the provider${reason}.`);
  }
}
