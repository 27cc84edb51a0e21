import { completionChunks, isFinished } from '../chat/completion-chunks.ts';
import type { CancelListener, Cancellation, CancelReason } from '../core/cancellation.ts';
import type { Clock, Timer } from '../core/clock.ts';
import { isJsonObject, type JsonObject } from '../core/json.ts';
import type { Failure } from '../core/outcome.ts';
import type { Usage } from '../core/usage.ts';
import { bringsSomething, type Output } from '../providers/openai/output.ts';
import { encodeData } from '../sse/encoder.ts';
import type { AttemptEnd } from './attempt-request.ts';
import type { BegunStream, StreamSink, StreamWishes } from './stream-roles.ts';
import { goneFailure, plainFailure } from './transport-failure.ts';
import type { PlainAnswer } from './whole-answer.ts';

/** What a whole answer is told by. */
export interface WholeTelling {
  wishes: Pick<StreamWishes, 'wantsUsage' | 'price' | 'present'>;
  clock: Clock;
  cancellation: Cancellation;
  /** When the whole request is over, on the clock's time: nobody who reads too slowly holds the answer for longer. */
  deadline: number;
  /** The try is over, as soon as there is a reader, or will be none. Called once. */
  over(failure: Failure | null): void;
}

/** A chat completion that came whole, told as the stream that was asked for. One without a finish is broken: none is made up. */
export function tellWhole(answer: PlainAnswer, telling: WholeTelling): AttemptEnd {
  const { reason } = telling.cancellation;
  // Nobody waits for it any more. What came whole is given all the same where only the process must end.
  if (reason !== null && reason !== 'shutdown')
    return { kind: 'failed', failure: goneFailure(reason), heldUp: false };
  if (isFinished(answer.value)) return { kind: 'stream', stream: new WholeStream(answer, telling) };
  const failure = plainFailure('broken_body', 'the whole answer ended without a finish');
  return { kind: 'failed', failure, heldUp: false };
}

/** The chunks of a whole answer on their way to the client, as fast as that reads. */
class WholeStream implements BegunStream, CancelListener {
  readonly whole = true;
  readonly usage: Usage | null;
  readonly passed: Output = { characters: 0, reasoning: 0 };
  readonly lastEvent = null;
  readonly transcript = null;
  readonly continuation = null;
  readonly #telling: WholeTelling;
  #chunks: readonly JsonObject[];
  #next = 0;
  #sink: StreamSink | null = null;
  #timer: Timer | null = null;
  /** The try is told as over. */
  #settled = false;
  #ended = false;

  constructor(answer: PlainAnswer, telling: WholeTelling) {
    this.usage = answer.usage;
    this.#telling = telling;
    this.#chunks = completionChunks(answer.value);
    telling.cancellation.add(this);
  }

  flow(sink: StreamSink): void {
    const { cancellation, clock, deadline } = this.#telling;
    // Nobody is there to take it.
    const gone = cancellation.reason === 'client_gone';
    this.#sink = sink;
    this.#settle(null);
    if (gone) this.#end(goneFailure('client_gone'));
    else if (cancellation.reason !== null) this.cancelled(cancellation.reason);
    else this.resume();
    if (this.#ended) return;
    const late = () => this.#end(plainFailure('deadline', 'the time for the whole request was over'));
    this.#timer = clock.schedule(Math.max(0, deadline - clock.now()), late);
  }

  resume(): void {
    if (this.#sink !== null && this.#write(false)) this.#end(null);
  }

  letGo(): void {
    this.#settle(goneFailure('client_gone'));
    this.#end(null);
  }

  cancelled(reason: CancelReason): void {
    if (this.#sink === null) {
      if (reason !== 'shutdown') this.#settle(goneFailure(reason));
      return;
    }
    // Nothing is missing: a process that must end gives what it has.
    if (reason === 'shutdown') {
      this.#write(true);
      this.#end(null);
    } else this.#end(goneFailure(reason));
  }

  /** False: the reader is slow, and there is more. `all`: however slow it is. */
  #write(all: boolean): boolean {
    while (!this.#ended && this.#next < this.#chunks.length) {
      const chunk = this.#chunks[this.#next++] as JsonObject;
      this.#count(chunk);
      const bytes = this.#encode(chunk);
      if (bytes !== null && this.#sink?.write(bytes) === false && !all) return false;
    }
    return true;
  }

  #count({ choices }: JsonObject): void {
    if (!Array.isArray(choices)) return;
    for (const choice of choices) {
      const delta = isJsonObject(choice) ? choice['delta'] : null;
      if (isJsonObject(delta)) bringsSomething(delta, this.passed);
    }
  }

  #encode(chunk: JsonObject): Buffer | null {
    const { wantsUsage, price, present } = this.#telling.wishes;
    const { usage } = chunk;
    if (!isJsonObject(usage)) {
      // As OpenAI's own chunks have it, for who asked for usage.
      return this.#presented(wantsUsage && present == null ? { ...chunk, usage: null } : chunk);
    }
    if (!wantsUsage) return null;
    const cost = this.usage === null ? null : (price?.(this.usage) ?? null);
    return this.#presented(cost === null ? chunk : { ...chunk, usage: { ...usage, cost } });
  }

  #presented(chunk: JsonObject): Buffer | null {
    const { present } = this.#telling.wishes;
    return present == null ? encodeData(JSON.stringify(chunk)) : present(chunk);
  }

  #settle(failure: Failure | null): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#telling.over(failure);
  }

  #end(failure: Failure | null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#timer?.cancel();
    this.#telling.cancellation.remove(this);
    this.#chunks = [];
    this.#sink?.end(failure);
  }
}
