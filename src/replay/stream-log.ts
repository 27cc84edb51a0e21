import type { Cancellation } from '../core/cancellation.ts';

/** How long a stream is kept after its end. Milliseconds. */
export const STREAM_LIFE = 10 * 60_000;

/** Of one stream, the latest so much is kept. Bytes. */
export const MOST_OF_A_STREAM = 8 * 1024 * 1024;

/** Of all streams together, in the memory of a process. Bytes. */
export const MOST_OF_ALL_STREAMS = 64 * 1024 * 1024;

/** What a stream may be called. A name that is not of this form is none: it could be anything in a key of Redis. */
export const STREAM_ID = /^[A-Za-z0-9._-]{1,128}$/;

/**
 * Where streams are kept, so that whoever loses one in the middle may come back for the rest. One contract, kept in this process
 * (`MemoryStreams`) and for all gateways (`RedisStreams`).
 */
export interface StreamLogs {
  /** Begins to keep a stream. Throws an ApiError where it cannot be promised that it is found again, and nothing else. */
  open(stream: NewStream): StreamLog;
  /**
   * Reads one from after this event; 0 = from its beginning. `unknown`: there is none of that name that could be read, or it is not kept any more. Rejects with
   * StateUnavailable where that cannot be found out now. One that may be on its way is waited for, but no longer than `asker` is there.
   */
  read(
    tenant: string,
    id: string,
    after: number,
    asker?: Cancellation,
  ): Promise<Reading | Dropped | 'unknown'>;
  /** Forgets one, and stops whoever still writes it, be it in another gateway. False: there is none. Rejects and waits like `read`. */
  remove(tenant: string, id: string, asker?: Cancellation): Promise<boolean>;
  /** Forgets all that is kept in this process. Resolves when as much as can be is where others find it. */
  close(): Promise<void>;
}

export interface NewStream {
  tenant: string;
  /** What it is to be called, if nothing is called so. */
  wanted: string;
  /** Nothing was ever called `wanted` before: nobody need be asked. */
  unused: boolean;
  /** A new name, never used before. */
  fresh(): string;
  /** In whose words its events are. */
  dialect: string;
  /** It is wanted no more. Called at most once, and not after `end` or `abandon`. */
  removed(): void;
}

/** The side of a stream that writes. None of it waits for anything. */
export interface StreamLog {
  /** It will be a stream. Answers what it is called from now on. Called once, before `append`. */
  begin(): string;
  /** Keeps whole events with their ids, which go on from those before. The bytes may be used again afterwards. */
  append(events: Buffer, count: number): void;
  /** Nothing more will come. */
  end(): void;
  /** Nothing came of it: it is as if it had never been. */
  abandon(): void;
}

/** The side that reads: what is there at once, then what comes as it comes. */
export interface Reading {
  readonly dialect: string;
  /** Begins. Once. */
  flow(sink: ReadingSink): void;
  /** The sink takes more, after it had said that it is slow. */
  resume(): void;
  /** The reader leaves. The sink is not called any more. */
  close(): void;
}

export interface ReadingSink {
  /** Whole events with their ids. False: no more until `resume`. */
  write(events: Buffer): boolean;
  /** Called once, last. */
  end(how: ReadingEnd): void;
}

/**
 * `over`: the stream ended here. `interrupted`: whoever wrote it is gone. `removed`: somebody did not want it any more. `behind`: what
 * comes next is not kept any more. `unreadable`: it is sealed with another key. `away`: the store that it is read from.
 */
export type ReadingEnd = 'over' | 'interrupted' | 'removed' | 'behind' | 'unreadable' | 'away';

/** The stream is longer than what is kept of it. */
export interface Dropped {
  kind: 'dropped';
  /** The first event that is still there. */
  first: number;
}
