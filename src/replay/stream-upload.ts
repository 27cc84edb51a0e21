import type { Clock, Timer } from '../core/clock.ts';
import type { StateClient } from '../state/client.ts';
import { StateUnavailable } from '../state/unavailable.ts';
import { type EventLog, LogCursor, type LogFollower } from './event-log.ts';
import type { Seal } from './seal.ts';
import { MOST_OF_A_STREAM, STREAM_LIFE } from './stream-log.ts';
import { SCRIPTS } from './stream-scripts.ts';

/** How long a writer of whom nothing is heard is taken to be alive: it may miss two renewals. Milliseconds. */
export const LEASE = 10_000;
const RENEW = 3_000;

/** Between two batches, unless there is more than this to send. Milliseconds, bytes. */
const PAUSE = 50;
const BATCH = 16 * 1024;

/** Until it is tried again where Redis is away. Milliseconds. */
const TRY_AGAIN = 1_000;

/** Sealed, it is a third longer. Bytes. */
const MOST_IN_REDIS = Math.ceil(MOST_OF_A_STREAM * 1.4);

/** Where a stream lies in Redis. */
export interface StreamPlace {
  client: StateClient;
  seal: Seal;
  clock: Clock;
  keys: readonly [head: string, batches: string];
}

/** What a batch is sealed for: its place in its stream, so that it opens nowhere else. */
export function placeOf({ keys }: Pick<StreamPlace, 'keys'>, last: number): string {
  return `${keys[1]}:${last}`;
}

export interface UploadOptions extends StreamPlace {
  /** Whose stream it is: a new one for each. */
  owner: string;
  dialect: string;
  log: EventLog;
  /** Somebody has removed it in Redis. */
  onRemoved(): void;
  onFault(error: unknown): void;
  /** Nothing more will be sent. */
  onDone(): void;
}

/**
 * Brings one stream to Redis, one batch after the other, from where it is kept in memory: nobody waits for that, and what Redis has missed or lost it
 * gets as soon as it is back.
 *
 * idle: the next event goes at once. pausing: shortly. busy: a batch is on its way. held: Redis is away. done: nothing more is to be sent.
 */
export class Upload implements LogFollower {
  readonly #options: UploadOptions;
  readonly #cursor: LogCursor;
  #state: 'idle' | 'pausing' | 'busy' | 'held' | 'done' = 'idle';
  /** Of the log's `written`, as much as has been taken. */
  #taken = 0;
  #timer: Timer | null = null;
  #faulty = false;
  /** Not null: nothing is tried again any more. */
  #closed: (() => void) | null = null;
  /** All of it is there, and its end. */
  isWhole = false;

  constructor(options: UploadOptions) {
    this.#options = options;
    this.#cursor = new LogCursor(options.log, 0);
    options.log.follow(this);
    this.#rest(RENEW);
    this.moved();
  }

  moved(): void {
    const { log } = this.#options;
    const waiting = log.written - this.#taken;
    if (log.ended === 'removed') this.stop();
    else if (this.#state === 'idle' && (waiting > 0 || log.ended !== null)) this.#send();
    else if (this.#state === 'pausing' && (waiting >= BATCH || log.ended !== null)) this.#send();
  }

  /** Sends nothing more. */
  stop(): void {
    if (this.#state === 'done') return;
    this.#state = 'done';
    this.#timer?.cancel();
    this.#options.log.unfollow(this);
    this.#options.onDone();
    this.#closed?.();
  }

  /** What nobody is to know of after all is taken back. */
  release(): void {
    this.stop();
    const { client, keys, owner } = this.#options;
    client.run(SCRIPTS.release, keys, [owner]).catch(() => {});
  }

  /** Resolves when all that there is has been sent, or could not be. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#state === 'done') return resolve();
      this.#closed = resolve;
      if (this.#state !== 'busy') this.#send();
    });
  }

  #send(): void {
    const { client, keys, owner, dialect, log, seal } = this.#options;
    const cursor = this.#cursor;
    this.#timer?.cancel();
    this.#state = 'busy';
    if (cursor.isBehind) cursor.moveTo(log.first - 1);
    const before = cursor.after;
    const bytes = cursor.next();
    this.#taken = cursor.isAtEnd ? log.written : this.#taken + (bytes?.length ?? 0);
    const last = cursor.after;
    const isOver = log.ended !== null && cursor.isAtEnd;
    const batch = bytes === null ? '' : seal.seal(bytes.toString(), placeOf(this.#options, last));
    const hasEarlier = before + 1 > log.first;
    client
      .run(SCRIPTS.append, keys, [
        owner,
        dialect,
        LEASE,
        STREAM_LIFE,
        MOST_IN_REDIS,
        before + 1,
        last,
        hasEarlier ? 1 : 0,
        isOver ? 1 : 0,
        batch,
      ])
      .then(
        (reply) => this.#answered(reply as [string, number?], isOver),
        (error: unknown) => this.#failed(error, before),
      );
  }

  #answered([word, at = 0]: [string, number?], isOver: boolean): void {
    if (this.#state !== 'busy') return;
    const { log, onRemoved } = this.#options;
    if (word === 'gone' || word === 'taken') {
      this.stop();
      if (word === 'gone') onRemoved();
      return;
    }
    this.isWhole = word === 'kept' && isOver;
    if (word === 'at') {
      this.#cursor.moveTo(Math.min(at, log.last));
      this.#taken = 0;
    }
    const isClosing = this.#closed !== null;
    if (this.isWhole || (isClosing && word === 'kept' && this.#cursor.isAtEnd)) this.stop();
    else if (isClosing) this.#send();
    else {
      this.#state = 'pausing';
      this.#schedule(PAUSE, () => this.#pauseIsOver());
      if (word === 'kept') this.moved();
    }
  }

  #pauseIsOver(): void {
    if (!this.#cursor.isAtEnd || this.#options.log.ended !== null) this.#send();
    else this.#rest(RENEW - PAUSE);
  }

  #rest(ms: number): void {
    this.#state = 'idle';
    this.#schedule(ms, () => this.#send());
  }

  #failed(error: unknown, before: number): void {
    if (this.#state !== 'busy') return;
    if (!(error instanceof StateUnavailable) && !this.#faulty) {
      this.#faulty = true;
      this.#options.onFault(error);
    }
    this.#cursor.moveTo(before);
    this.#state = 'held';
    if (this.#closed !== null) this.stop();
    else this.#schedule(TRY_AGAIN, () => this.#send());
  }

  #schedule(ms: number, fn: () => void): void {
    this.#timer?.cancel();
    this.#timer = this.#options.clock.schedule(ms, fn);
  }
}
