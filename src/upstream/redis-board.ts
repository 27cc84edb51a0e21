import type { Clock, Timer } from '../core/clock.ts';
import type { BoardPlace, BreakerBoard, Claimed, Opening, ProbeClaim, Word } from '../resilience/board.ts';
import type { Script, StateClient } from '../state/client.ts';
import { StateUnavailable } from '../state/unavailable.ts';
import { CLAIM, CLOSED, MOST_ENTRIES, NEWS, OPENED, RELEASED, WORDS_A_PAGE } from './board-scripts.ts';

export interface RedisBoardOptions {
  client: StateClient;
  keyPrefix: string;
  /** This process among others. */
  gateway: string;
  clock: Clock;
  /** Redis answered with an error. */
  onFault(error: unknown): void;
}

/** How often others' words are asked for: twice within the second that one may take, and time to spare. Milliseconds. */
const POLL_EVERY = 400;
/** A probe's lease, which each poll renews: so long after a gateway's death another one may probe. Milliseconds. */
const LEASE = 5_000;
/** Of an upstream's id. A client that makes up longer names of models has them to itself. Characters. */
const LONGEST_ID = 512;

/** What is to be told, and has not been yet. */
type Said = { sending: boolean } & (({ kind: 'opened' } & Opening) | { kind: 'closed'; after: number });

interface Known {
  seq: number;
  /** 0 = it has been closed since. */
  openings: number;
  /** On the clock's time. */
  until: number;
  ours: boolean;
}

/**
 * The board in Redis. What one gateway says is there after one trip; the others ask for news every 400 ms, once an upstream shares its
 * breaker. What cannot be said while Redis is away is said when it is back, if it still counts.
 */
export class RedisBoard implements BreakerBoard {
  readonly #options: RedisBoardOptions;
  readonly #keys: readonly [string, string, string];
  /** The last word that was read. */
  #position = 0;
  /** The last word of each upstream, oldest first. */
  readonly #known = new Map<string, Known>();
  readonly #unsaid = new Map<string, Said>();
  /** Probes of this gateway, under way or asked for, and the word they came after. */
  readonly #claims = new Map<string, { count: number; after: number }>();
  #heard: (word: Word) => void = () => {};
  #timer: Timer | null = null;
  #polling: Promise<void> | null = null;
  #closed = false;

  constructor(options: RedisBoardOptions) {
    this.#options = options;
    // No tenant is called `!`.
    const base = `${options.keyPrefix}:{!}:breakers`;
    this.#keys = [base, `${base}:words`, `${base}:gone`];
  }

  listen(heard: (word: Word) => void): void {
    this.#heard = heard;
  }

  place(id: () => string): BoardPlace {
    if (this.#polling === null && this.#timer === null && !this.#closed) this.#poll();
    const reachable = () => this.#isUp() && id().length <= LONGEST_ID;
    return {
      get reachable() {
        return reachable();
      },
      known: () => this.#lastOpening(id()),
      opened: (opening) => this.#say(id(), { sending: false, kind: 'opened', ...opening }),
      closed: (after) => this.#say(id(), { sending: false, kind: 'closed', after }),
      claim: (claim) => this.#claim(id(), claim),
      released: () => this.#release(id()),
    };
  }

  /** Resolves when nothing is under way. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#polling;
  }

  #isUp(): boolean {
    return !this.#closed && this.#options.client.isUp(this.#keys[0]);
  }

  #run(script: Script, args: readonly (string | number)[]): Promise<unknown> {
    return this.#options.client.run(script, this.#keys, args);
  }

  #lastOpening(id: string): Word | null {
    const known = this.#known.get(id);
    if (known === undefined || known.openings === 0) return null;
    const { seq, openings, until, ours } = known;
    return { id, seq, ours, state: 'open', openings, leftMs: Math.max(0, until - this.#options.clock.now()) };
  }

  #say(id: string, said: Said): void {
    if (id.length > LONGEST_ID) return;
    this.#unsaid.delete(id);
    this.#unsaid.set(id, said);
    if (this.#unsaid.size > MOST_ENTRIES) this.#unsaid.delete(this.#unsaid.keys().next().value as string);
    if (this.#isUp()) void this.#tell(id, said);
  }

  /** Never rejects. What could not be told is told after the next poll that gets through. */
  async #tell(id: string, said: Said): Promise<void> {
    if (said.sending) return;
    said.sending = true;
    try {
      const answer = await (said.kind === 'opened' ? this.#tellOpened(id, said) : this.#tellClosed(id, said));
      if (this.#unsaid.get(id) === said) this.#unsaid.delete(id);
      for (const word of this.#wordsOf(answer)) this.#take(word);
    } catch (error) {
      this.#failed(error);
    } finally {
      said.sending = false;
    }
  }

  #tellOpened(id: string, { until, openings, after }: Opening): Promise<unknown> | [] {
    const { client, clock, gateway } = this.#options;
    const left = until - clock.now();
    if (left <= 0) return [];
    const till = Math.ceil(client.time(this.#keys[0]) + left);
    return this.#run(OPENED, [id, gateway, till, openings, after ?? '']);
  }

  #tellClosed(id: string, { after }: { after: number }): Promise<unknown> {
    return this.#run(CLOSED, [id, this.#options.gateway, after]);
  }

  async #claim(id: string, { probes, openings, after }: ProbeClaim): Promise<Claimed> {
    const { gateway } = this.#options;
    const held = this.#claims.get(id) ?? { count: 0, after };
    held.count += 1;
    this.#claims.set(id, held);
    try {
      const answer = await this.#run(CLAIM, [id, gateway, held.count, probes, LEASE, openings, after]);
      const [granted, ...rest] = answer as [number, ...unknown[]];
      const [word] = this.#wordsOf(rest);
      // Granted with a new word, it came after that one.
      if (granted === 1 && word !== undefined) held.after = Math.max(held.after, word.seq);
      else this.#drop(id, held);
      if (word !== undefined) this.#take(word);
      return { granted: granted === 1, seq: word?.seq ?? after };
    } catch (error) {
      this.#failed(error);
      return { granted: true, seq: null };
    }
  }

  #release(id: string): void {
    const held = this.#claims.get(id);
    if (held === undefined) return;
    this.#drop(id, held);
    if (!this.#isUp()) return;
    this.#run(RELEASED, [id, this.#options.gateway, held.count]).catch((error) => this.#failed(error));
  }

  #drop(id: string, held: { count: number }): void {
    held.count -= 1;
    if (held.count <= 0 && this.#claims.get(id) === held) this.#claims.delete(id);
  }

  /** Once now, and then again and again: the next time is counted from the end of this one, so that they never pile up. */
  #poll(): void {
    this.#timer = null;
    this.#polling = this.#catchUp()
      .catch((error) => this.#failed(error))
      .then(() => {
        this.#polling = null;
        if (!this.#closed) this.#timer = this.#options.clock.schedule(POLL_EVERY, () => this.#poll());
      });
  }

  async #catchUp(): Promise<void> {
    for (;;) {
      const args = [this.#options.gateway, this.#position, LEASE, ...this.#claims.keys()];
      const words = [...this.#wordsOf(await this.#run(NEWS, args))];
      for (const word of words) {
        this.#position = Math.max(this.#position, word.seq);
        this.#take(word);
      }
      if (words.length < WORDS_A_PAGE || this.#closed) break;
    }
    for (const [id, said] of this.#unsaid) void this.#tell(id, said);
  }

  #take(word: Word): void {
    const { id, seq } = word;
    if ((this.#known.get(id)?.seq ?? 0) > seq) return;
    const held = this.#claims.get(id);
    if (held !== undefined && seq > held.after) this.#claims.delete(id);
    const { openings, leftMs } = word.state === 'open' ? word : { openings: 0, leftMs: 0 };
    this.#known.delete(id);
    this.#known.set(id, { seq, openings, until: this.#options.clock.now() + leftMs, ours: word.ours });
    if (this.#known.size > MOST_ENTRIES) this.#known.delete(this.#known.keys().next().value as string);
    this.#heard(word);
  }

  *#wordsOf(answer: unknown): Iterable<Word> {
    const parts = Array.isArray(answer) ? answer : [];
    for (let at = 0; at + 4 < parts.length; at += 5) {
      const [id, seq, openings, leftMs, gateway] = parts.slice(at, at + 5);
      const head = { id: String(id), seq: Number(seq), ours: gateway === this.#options.gateway };
      if (Number(openings) === 0) yield { ...head, state: 'closed' };
      else yield { ...head, state: 'open', openings: Number(openings), leftMs: Number(leftMs) };
    }
  }

  #failed(error: unknown): void {
    // Of a Redis that is away, others tell.
    if (!(error instanceof StateUnavailable) && !this.#closed) this.#options.onFault(error);
  }
}
