import type { Clock, Timer } from '../core/clock.ts';
import type { StateChange } from './client.ts';
import type { Connection } from './connection.ts';
import { Link, type LinkOptions } from './link.ts';
import { codeOf, type ErrorReply, inWords, isReply, redirectionOf, refusalOf } from './replies.ts';
import { whyOf } from './why.ts';
import { within } from './within.ts';

export interface NodeOptions extends LinkOptions {
  /** For people. No secrets. */
  name: string;
  /** How long it may take to answer. Milliseconds. */
  commandTimeout: number;
  /** A key of ours that it holds, to be written to find out whether it takes writes; null if it holds none. */
  probeKey: (node: Node) => string | null;
  /** Does it belong to a cluster, which may send us elsewhere? */
  clustered: boolean;
  onChange: (change: StateChange) => void;
  /** Something is not as it should be: look again who holds what. */
  onDoubt: () => void;
  /**
   * It has taken over from one that is away, and counts as away itself until it has taken a write. Null, or the name under which it
   * will be reported to be back: that of the one that it has taken over from.
   */
  standsInFor?: string | null;
}

/** While it is away, it is asked again this often. Milliseconds. */
const RETRY = 250;
/** One that fails again soon after it is back, and again, is asked ever less often, so as not to fill the log. Milliseconds. */
const LONGEST_RETRY = 4_000;
/** What "soon" is. Milliseconds. */
const SOON = 10_000;
/** While it is there it is asked too, so as to find out before a request does, and to compare clocks. Milliseconds. */
const CHECK = 5_000;
/** A connection that was silent for so long, though asked, is given up: the other end may be gone without a word. Milliseconds. */
const SILENT = 1_000;

/** By a script, as everything else that is written: a user who may write but not run scripts is of no use. */
const PROBE = `redis.call('SET', KEYS[1], '', 'PX', ARGV[1]) return redis.call('TIME')`;
/** Milliseconds. */
const PROBE_KEPT = 10_000;

/** One Redis that holds keys, and what is thought of it: `up` until something fails, then away until it has taken a write. */
export class Node {
  readonly name: string;
  readonly link: Link;
  /** Resolves when it is known for the first time whether it is there. */
  readonly tried: Promise<void>;
  readonly #options: NodeOptions;
  readonly #clock: Clock;
  #up = true;
  #why: string | null = null;
  #announced: string | null = null;
  /** When it came back. By the clock. */
  #backAt = Number.NEGATIVE_INFINITY;
  /** How many times in a row it failed soon after it was back. */
  #relapses = 0;
  #probing = false;
  #timer: Timer | null = null;
  /** Its time less our monotonic one. */
  #offset: number | null = null;
  #closed = false;
  readonly #tried: () => void;

  constructor(options: NodeOptions) {
    this.name = options.name;
    this.#options = options;
    this.#clock = options.clock;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.tried = promise;
    this.#tried = resolve;
    if (options.standsInFor !== undefined) {
      this.#up = false;
      this.#why = 'it has taken over, and not answered yet';
      this.#announced = options.standsInFor;
    }
    this.link = new Link(
      options,
      () => void this.#probe(),
      (why) => this.fail(why),
    );
  }

  get up(): boolean {
    return this.#up;
  }

  /** Why it is thought to be away. */
  get why(): string | null {
    return this.#why;
  }

  /** Under which name its being away was made known; null where it was not. */
  get announced(): string | null {
    return this.#announced;
  }

  /** Its clock, in milliseconds since 1970; null if it has not told it yet. */
  get time(): number | null {
    return this.#offset === null ? null : this.#offset + this.#clock.now();
  }

  /** It did not do what it should. From now on nobody waits for it but our own probes. */
  fail(why: string): void {
    if (this.#closed) return;
    this.#options.onDoubt();
    // Whoever doubts may have found that it holds nothing any more.
    if (this.#closed) return;
    this.#why = why;
    if (!this.#up) return;
    this.#up = false;
    this.#relapses = this.#clock.now() - this.#backAt < SOON ? this.#relapses + 1 : 0;
    this.#announced = this.name;
    this.#probeIn(this.#retry);
    this.#options.onChange({ node: this.name, up: false, why });
    this.#tried();
  }

  /** Ends it. Nothing more is heard of it; calls under way fail unless they were answered. */
  close(): void {
    this.retire();
    this.link.close();
  }

  /** It holds nothing any more: no more is thought of it, but calls under way are still answered. */
  retire(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#tried();
  }

  get #retry(): number {
    return Math.min(LONGEST_RETRY, RETRY * 2 ** Math.max(0, this.#relapses - 1));
  }

  #probeIn(wait: number): void {
    this.#timer?.cancel();
    this.#timer = this.#clock.schedule(wait, () => void this.#probe());
  }

  /** Has something written, and thinks of it accordingly. */
  async #probe(): Promise<void> {
    if (this.#probing || this.#closed) return;
    this.#probing = true;
    const { connection } = this.link;
    const key = this.#options.probeKey(this);
    if (connection === null || key === null) this.#options.onDoubt();
    else await this.#write(connection, key);
    this.#probing = false;
    if (!this.#closed) this.#probeIn(this.#up ? CHECK : this.#retry);
  }

  async #write(connection: Connection, key: string): Promise<void> {
    const { clock, commandTimeout } = this.#options;
    const sentAt = clock.now();
    try {
      const reply = await within(clock, commandTimeout, connection.send('EVAL', [PROBE, 1, key, PROBE_KEPT]));
      if (this.#closed) return;
      this.#compare(reply as [string, string], sentAt);
      this.#succeed();
      // A master that was replaced without a word, by sentinels that it no longer hears, goes on taking writes.
      this.link.verify().catch(() => {});
    } catch (error) {
      const why = isReply(error) ? this.#refused(error) : whyOf(error as Error);
      if (why === null) return this.#options.onDoubt();
      this.fail(why);
      // Who was the master is a replica now: a new connection leads to the new one, by its name or by the sentinels.
      const replica = isReply(error) && refusalOf(error) === 'READONLY';
      const silent = !isReply(error) && clock.now() - connection.heard >= SILENT;
      if ((replica || silent) && this.link.connection === connection) this.link.renew(why);
    }
  }

  /** Null if it is all right and the key was another's. */
  #refused(reply: ErrorReply): string | null {
    if (this.#options.clustered && redirectionOf(reply) !== null) return null;
    const refusal = refusalOf(reply);
    return refusal === null ? `it answers a write with ${codeOf(reply)}` : inWords(refusal);
  }

  #succeed(): void {
    this.link.proven();
    this.#tried();
    if (this.#up) return;
    this.#up = true;
    this.#why = null;
    this.#backAt = this.#clock.now();
    const node = this.#announced;
    this.#announced = null;
    if (node === null) return;
    const why = node === this.name ? null : `${this.name} has taken its place`;
    this.#options.onChange({ node, up: true, why });
  }

  /** What it said was the time somewhere between our asking and its answer. */
  #compare([seconds, microseconds]: [string, string], sentAt: number): void {
    const its = Number(seconds) * 1_000 + Number(microseconds) / 1_000;
    this.#offset = its - (sentAt + this.#clock.now()) / 2;
  }
}
