import type { Clock } from '../core/clock.ts';
import type { Recall, Remember, Remembered } from './extensions.ts';

/** How much is kept, of all tenants together. */
export interface MemoryBounds {
  /** Estimated from above: two for each character. */
  bytes: number;
  /** Answers. */
  answers: number;
  /** Milliseconds since an answer was remembered or last asked for. */
  age: number;
}

/** A loop may wait for its user that long; what 64 MiB hold is the reasoning of some thousands of turns. */
export const USUAL_BOUNDS: MemoryBounds = { bytes: 64 * 1024 * 1024, answers: 20_000, age: 3_600_000 };

/** An answer that takes more than this share of all is not kept. */
const LARGEST_SHARE = 1 / 8;
/** What an answer and each of its ids take besides their texts. Bytes, roughly. */
const ANSWER_OVERHEAD = 300;
const ID_OVERHEAD = 100;
/** Of a character, at most. */
const BYTES_PER_CHARACTER = 2;

interface Answer {
  tenant: Tenant;
  /** Those that no later answer has taken over. */
  callIds: Set<string>;
  what: Remembered;
  bytes: number;
  /** By the clock's `now`. */
  usedAt: number;
}

interface Tenant {
  id: string;
  byCall: Map<string, Answer>;
  /** Least lately used first. */
  answers: Set<Answer>;
  bytes: number;
}

/**
 * What models must be handed back with their tools' results, for clients that drop it. In this process only: another gateway, or this one
 * after a restart, does without. What is over the bounds goes from the tenant that holds most, what it used least lately first: nobody
 * loses anything to one who takes more than they do.
 */
export class ReasoningMemory {
  readonly #clock: Pick<Clock, 'now'>;
  readonly #bounds: MemoryBounds;
  readonly #tenants = new Map<string, Tenant>();
  /** All answers, least lately used first. */
  readonly #answers = new Set<Answer>();
  #bytes = 0;

  constructor(clock: Pick<Clock, 'now'>, bounds: MemoryBounds = USUAL_BOUNDS) {
    this.#clock = clock;
    this.#bounds = bounds;
  }

  /** Estimated, of all. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Answers kept. */
  get size(): number {
    return this.#answers.size;
  }

  /** Of whom something is kept. */
  get tenants(): number {
    return this.#tenants.size;
  }

  /** What one tenant may remember, and recall: its own only. */
  forTenant(id: string): { remember: Remember; recall: Recall } {
    return {
      remember: (callIds, what) => this.#remember(id, callIds, what),
      recall: (callId) => this.#recall(id, callId),
    };
  }

  #remember(id: string, callIds: readonly string[], what: Remembered): void {
    this.#forgetOld();
    // Some hosts give the same ids again and again: what was said of an earlier call is not for this one, even if there is nothing to keep.
    for (const callId of callIds) this.#giveUp(id, callId);
    const bytes = sizeOf(callIds, what);
    if (callIds.length === 0 || isEmpty(what) || bytes > this.#bounds.bytes * LARGEST_SHARE) return;
    const tenant = this.#tenants.get(id) ?? { id, byCall: new Map(), answers: new Set(), bytes: 0 };
    this.#tenants.set(id, tenant);
    const answer = { tenant, callIds: new Set(callIds), what, bytes, usedAt: this.#clock.now() };
    for (const callId of answer.callIds) tenant.byCall.set(callId, answer);
    tenant.answers.add(answer);
    tenant.bytes += bytes;
    this.#answers.add(answer);
    this.#bytes += bytes;
    while (this.#bytes > this.#bounds.bytes || this.#answers.size > this.#bounds.answers) {
      this.#forget(first(this.#largest().answers));
    }
  }

  #giveUp(id: string, callId: string): void {
    const byCall = this.#tenants.get(id)?.byCall;
    const answer = byCall?.get(callId);
    if (answer === undefined) return;
    byCall?.delete(callId);
    answer.callIds.delete(callId);
    if (answer.callIds.size === 0) this.#forget(answer);
  }

  #recall(id: string, callId: string): Remembered | null {
    this.#forgetOld();
    const answer = this.#tenants.get(id)?.byCall.get(callId);
    if (answer === undefined) return null;
    answer.usedAt = this.#clock.now();
    for (const order of [answer.tenant.answers, this.#answers]) {
      order.delete(answer);
      order.add(answer);
    }
    return answer.what;
  }

  #forgetOld(): void {
    const oldest = this.#clock.now() - this.#bounds.age;
    for (const answer of this.#answers) {
      if (answer.usedAt > oldest) break;
      this.#forget(answer);
    }
  }

  #forget(answer: Answer): void {
    const { tenant, callIds, bytes } = answer;
    for (const callId of callIds) tenant.byCall.delete(callId);
    tenant.answers.delete(answer);
    tenant.bytes -= bytes;
    if (tenant.answers.size === 0) this.#tenants.delete(tenant.id);
    this.#answers.delete(answer);
    this.#bytes -= bytes;
  }

  /** Who holds most of what has run out. */
  #largest(): Tenant {
    const isFull = this.#bytes > this.#bounds.bytes;
    const share = (tenant: Tenant) => (isFull ? tenant.bytes : tenant.answers.size);
    return [...this.#tenants.values()].reduce((most, one) => (share(one) > share(most) ? one : most));
  }
}

function first<T>(values: Set<T>): T {
  return values.values().next().value as T;
}

function isEmpty({ thinkingBlocks, thoughtSignatures }: Remembered): boolean {
  return thinkingBlocks.length === 0 && Object.keys(thoughtSignatures).length === 0;
}

function sizeOf(callIds: readonly string[], { thinkingBlocks, thoughtSignatures }: Remembered): number {
  let characters = 0;
  for (const id of callIds) characters += id.length;
  for (const block of thinkingBlocks) {
    characters +=
      block.type === 'thinking' ? block.thinking.length + block.signature.length : block.data.length;
  }
  for (const [id, signature] of Object.entries(thoughtSignatures)) characters += id.length + signature.length;
  const pieces = callIds.length + thinkingBlocks.length + Object.keys(thoughtSignatures).length;
  return ANSWER_OVERHEAD + pieces * ID_OVERHEAD + characters * BYTES_PER_CHARACTER;
}
