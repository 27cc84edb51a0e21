import { Cancellation, sleep } from '../core/cancellation.ts';
import type { Clock } from '../core/clock.ts';
import type { StateClient } from '../state/client.ts';
import { StateUnavailable } from '../state/unavailable.ts';
import { readLog } from './event-log.ts';
import { type MemoryStream, MemoryStreams, type StreamBounds } from './memory-streams.ts';
import type { Seal } from './seal.ts';
import {
  type Dropped,
  type NewStream,
  type Reading,
  STREAM_LIFE,
  type StreamLog,
  type StreamLogs,
} from './stream-log.ts';
import { isReadable, lookAfter, PollReading, SURELY_DEAD } from './stream-poll.ts';
import { SCRIPTS } from './stream-scripts.ts';
import { LEASE, type StreamPlace, Upload } from './stream-upload.ts';

/**
 * How long a stream that its client knows of may be on its way to Redis: longer than its writer lets pass between two tries, should the first one fail. And the
 * first pause between two looks for it. Milliseconds.
 */
const PATIENCE = 1_500;
const SHORTEST_PAUSE = 25;

export interface RedisStreamsOptions {
  client: StateClient;
  keyPrefix: string;
  /** Names this process' life: random, so that no other has the same. */
  gateway: string;
  seal: Seal;
  clock: Clock;
  bounds?: StreamBounds;
  /** For how long what is not in Redis may still be on its way there. Milliseconds; `PATIENCE` unless told. */
  patience?: number;
  /** Told of what goes wrong though Redis is there. */
  onFault(error: unknown): void;
}

/**
 * Streams kept for all gateways. Each is in the memory of the gateway that writes it, where its readers there read it, and is brought to Redis from there for
 * all others. While Redis is away, memory serves.
 */
export class RedisStreams implements StreamLogs {
  readonly #options: RedisStreamsOptions;
  readonly #memory: MemoryStreams;
  readonly #shared = new Set<SharedStream>();
  readonly #byLocal = new WeakMap<MemoryStream, SharedStream>();
  readonly #stopListening: () => void;
  #opened = 0;
  /** When Redis came back, after it had been away. By the clock. */
  #backAt = Number.NEGATIVE_INFINITY;

  constructor(options: RedisStreamsOptions) {
    const { client, clock, bounds } = options;
    this.#options = options;
    this.#memory = new MemoryStreams(clock, bounds);
    this.#stopListening = client.onChange(({ up }) => {
      if (up) this.#backAt = clock.now();
    });
  }

  open(stream: NewStream): StreamLog {
    const local = this.#memory.open(stream);
    const owner = `${this.#options.gateway}.${++this.#opened}`;
    const shared = new SharedStream(local, stream, {
      memory: this.#memory,
      place: (id) => this.#placeOf(stream.tenant, id),
      owner,
      onFault: (error) => this.#options.onFault(error),
      over: () => this.#shared.delete(shared),
    });
    this.#shared.add(shared);
    this.#byLocal.set(local, shared);
    return shared;
  }

  async read(
    tenant: string,
    id: string,
    after: number,
    asker = new Cancellation(),
  ): Promise<Reading | Dropped | 'unknown'> {
    const local = this.#memory.find(tenant, id);
    const here = local === null ? null : readLog(local.log, local.dialect, after);
    // Whoever writes it knows best. Once all of it is in Redis, others may have removed it there.
    if (here !== null && !('kind' in here) && !this.#isElsewhere(local)) return here;
    const place = this.#placeOf(tenant, id);
    try {
      const found = await this.#soon(
        () => lookAfter(place, after),
        (one) => one !== 'none' || here !== null,
        asker,
      );
      if (found === 'none') return here ?? 'unknown';
      if (found === 'gone') {
        local?.remove();
        return 'unknown';
      }
      if (found.kind === 'dropped') return found;
      return isReadable(place, found) ? new PollReading(place, found, after) : 'unknown';
    } catch (error) {
      if (here !== null && !('kind' in here)) return here;
      throw error;
    }
  }

  async remove(tenant: string, id: string, asker = new Cancellation()): Promise<boolean> {
    const wasHere = await this.#memory.remove(tenant, id);
    const { client, keys } = this.#placeOf(tenant, id);
    const word = await this.#soon(
      () => client.run(SCRIPTS.remove, keys, [STREAM_LIFE]),
      (one) => one !== 'none' || wasHere,
      asker,
    );
    return word === 'removed' || wasHere;
  }

  async close(): Promise<void> {
    this.#stopListening();
    await Promise.all([...this.#shared].map((shared) => shared.close()));
    await this.#memory.close();
  }

  /**
   * Asks until the answer will do, for as long as a stream may be on its way and `asker` is there: a client is told of its stream before Redis is, and
   * when its connection breaks at once it may come back to another gateway sooner than the stream. So it may when Redis has been away.
   */
  async #soon<T>(ask: () => Promise<T>, willDo: (answer: T) => boolean, asker: Cancellation): Promise<T> {
    const { clock, patience = PATIENCE } = this.#options;
    const until = Math.max(clock.now() + patience, this.#backAt + SURELY_DEAD);
    for (let pause = SHORTEST_PAUSE; ; pause *= 2) {
      const answer = await ask();
      const left = until - clock.now();
      if (willDo(answer) || left <= 0 || !(await sleep(clock, Math.min(pause, left), asker))) return answer;
    }
  }

  #isElsewhere(local: MemoryStream | null): boolean {
    return local !== null && this.#byLocal.get(local)?.isWhole === true;
  }

  #placeOf(tenant: string, id: string): StreamPlace {
    const { client, clock, seal, keyPrefix } = this.#options;
    const head = `${keyPrefix}:{${tenant}}:s:${id}`;
    return { client, clock, seal, keys: [head, `${head}:b`] };
  }
}

interface SharedStreamOptions {
  memory: MemoryStreams;
  place(id: string): StreamPlace;
  owner: string;
  onFault(error: unknown): void;
  /** Nothing is left to be sent. */
  over(): void;
}

/** One stream that is written here. */
class SharedStream implements StreamLog {
  readonly #local: MemoryStream;
  readonly #stream: NewStream;
  readonly #options: SharedStreamOptions;
  /** Is its name its own among all gateways? Null: that is being asked. */
  #isOwn: boolean | null;
  #upload: Upload | null = null;
  #stopped = false;

  constructor(local: MemoryStream, stream: NewStream, options: SharedStreamOptions) {
    this.#local = local;
    this.#stream = stream;
    this.#options = options;
    local.forgotten = () => this.#stop();
    this.#isOwn = stream.unused || local.id !== stream.wanted ? true : null;
    if (this.#isOwn === null) this.#claim();
  }

  get isWhole(): boolean {
    return this.#upload?.isWhole === true;
  }

  begin(): string {
    if (this.#isOwn !== true) {
      // Nobody waits for Redis to say so: another name is as good.
      this.#isOwn = false;
      this.#options.memory.rename(this.#local, this.#stream.fresh());
    }
    if (!this.#stopped) this.#upload ??= this.#newUpload();
    return this.#local.id;
  }

  append(events: Buffer, count: number): void {
    this.#local.append(events, count);
  }

  end(): void {
    // It may have ended before it began: then there is nothing but its error to be told of.
    if (this.#isOwn === true && !this.#stopped) this.#upload ??= this.#newUpload();
    this.#local.end();
  }

  abandon(): void {
    this.#upload?.release();
    this.#local.abandon();
  }

  async close(): Promise<void> {
    await this.#upload?.close();
    this.#stop();
  }

  /** So that whoever chose the name finds the stream by it before having been told of it, and nobody else's is called the same. */
  #claim(): void {
    const { place, owner } = this.#options;
    const { client, keys } = place(this.#local.id);
    client.run(SCRIPTS.claim, keys, [owner, this.#local.dialect, LEASE, STREAM_LIFE]).then(
      (word) => {
        const isOwn = word === 'claimed';
        // It came too late.
        if (this.#isOwn !== null || this.#stopped) {
          if (isOwn) client.run(SCRIPTS.release, keys, [owner]).catch(() => {});
          return;
        }
        this.#isOwn = isOwn;
        if (isOwn) this.#upload = this.#newUpload();
      },
      (error: unknown) => {
        // Should it have been carried out all the same, nobody writes under that name until it is forgotten.
        this.#isOwn ??= false;
        if (!(error instanceof StateUnavailable)) this.#options.onFault(error);
      },
    );
  }

  #newUpload(): Upload {
    const { place, owner, onFault, over } = this.#options;
    const { log, dialect, id } = this.#local;
    return new Upload({
      ...place(id),
      owner,
      dialect,
      log,
      onRemoved: () => this.#local.remove(),
      onFault,
      onDone: over,
    });
  }

  #stop(): void {
    this.#stopped = true;
    this.#upload?.stop();
    this.#options.over();
  }
}
