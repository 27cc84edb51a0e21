import { isIP } from 'node:net';
import type { Redis } from 'ioredis';
import type { Clock, Timer } from '../core/clock.ts';
import type { Access, Place } from './access.ts';
import { ioredis } from './library.ts';
import { codeOf, inWords, isReply, refusalOf } from './replies.ts';
import { whyOf } from './why.ts';

export interface ConnectionOptions {
  clock: Clock;
  /** How long it may take until it can be used. Milliseconds. */
  within: number;
  /** What the server calls it in its list of clients: no spaces. */
  name: string;
}

export type Words = readonly (string | number)[];

/**
 * One connection, from its first packet to its last. It is never mended: who needs another makes another. So nothing is sent a
 * second time, and nothing waits in a queue for a server to come back: both are what ioredis does with connections that it renews.
 */
export class Connection {
  readonly place: Place;
  /** When the server was last heard, by the clock. */
  heard: number;
  readonly #redis: Redis;
  readonly #clock: Clock;
  readonly #onOpen: (connection: Connection) => void;
  readonly #onEnd: (why: string) => void;
  readonly #limit: Timer;
  #why: string | null = null;
  #state: 'opening' | 'open' | 'ended' = 'opening';
  #corked = false;

  /** One of `onOpen` or, with the reason, `onEnd` is called; the latter also later, once, when an open one ends, unless it was closed. */
  constructor(
    place: Place,
    access: Access,
    options: ConnectionOptions,
    onOpen: (connection: Connection) => void,
    onEnd: (why: string) => void,
  ) {
    this.place = place;
    this.#clock = options.clock;
    this.heard = options.clock.now();
    this.#onOpen = onOpen;
    this.#onEnd = onEnd;
    this.#limit = options.clock.schedule(options.within, () =>
      this.#end(`no connection within ${options.within} ms`),
    );
    this.#redis = new (ioredis().Redis)({
      host: place.host,
      port: place.port,
      ...(access.tls ? { tls: isIP(place.host) === 0 ? { servername: place.host } : {} } : {}),
      lazyConnect: true,
      retryStrategy: () => null,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: null,
      // By the injected clock instead, and with the handshake.
      connectTimeout: 0,
      // INFO takes a permission, and knows nothing of whether writes are taken.
      enableReadyCheck: false,
      disableClientInfo: true,
      protocol: 2,
    });
    this.#redis.on('error', (error) => {
      this.#why ??= whyOf(error);
    });
    this.#redis.on('end', () => this.#end(this.#why ?? 'the connection was closed'));
    this.#redis.on('ready', () => {
      this.#redis.stream.on('data', () => {
        this.heard = this.#clock.now();
      });
      void this.#introduce(access, options.name);
    });
    this.#redis.connect().catch(() => {});
  }

  get open(): boolean {
    return this.#state === 'open';
  }

  /**
   * Sends a command, together with all others of this tick. What comes back is Redis' own (RESP2: a hash is a flat list), or an error
   * reply, or another error if the connection ends first.
   */
  send(command: string, words: Words): Promise<unknown> {
    if (!this.#corked) {
      this.#corked = true;
      this.#redis.stream.cork();
      process.nextTick(this.#uncork);
    }
    return this.#redis.sendCommand(
      new (ioredis().Command)(command, words as (string | number)[], { replyEncoding: 'utf8' }),
    ) as Promise<unknown>;
  }

  /** Listens to a channel; from then on it is of no other use. */
  async subscribe(channel: string, hear: (text: string) => void): Promise<void> {
    this.#redis.on('message', (_, text: string) => hear(text));
    // In small letters: ioredis goes by its name.
    await this.send('subscribe', [channel]);
  }

  /** Ends it at once; what is under way fails. `onEnd` is not called for it. */
  close(): void {
    this.#finish();
  }

  readonly #uncork = (): void => {
    this.#corked = false;
    this.#redis.stream.uncork();
  };

  /** Ours instead of the client library's, which goes on with another database where the right one is refused. */
  async #introduce({ username, password, database }: Access, name: string): Promise<void> {
    const steps: Promise<unknown>[] = [];
    // What a server says of a login is not repeated: it may quote it.
    const login = username === null ? [password ?? ''] : [username, password ?? ''];
    if (username !== null || password !== null) {
      steps.push(this.#step('AUTH', login, (code) => `it refuses the login (${code})`));
    }
    if (database !== 0) {
      steps.push(this.#step('SELECT', [database], (code) => `it has no database ${database} (${code})`));
    }
    steps.push(this.#step('CLIENT', ['SETNAME', name], () => null));
    const failures = (await Promise.all(steps)).filter((failure) => failure !== null);
    if (this.#state !== 'opening') return;
    const [failure] = failures;
    if (failure !== undefined) return this.#end(String(failure));
    this.#state = 'open';
    this.#limit.cancel();
    this.#onOpen(this);
  }

  /** Resolves to what went wrong, in words; null for what may. */
  async #step(command: string, words: Words, say: (code: string) => string | null): Promise<string | null> {
    try {
      await this.send(command, words);
      return null;
    } catch (error) {
      if (!isReply(error)) return this.#why ?? 'the connection was closed';
      const refusal = refusalOf(error);
      // A name is a courtesy: whoever may not give one may do all else.
      if (refusal !== null && refusal !== 'NOPERM') return inWords(refusal);
      return say(codeOf(error));
    }
  }

  #end(why: string): void {
    if (this.#state === 'ended') return;
    this.#finish();
    this.#onEnd(why);
  }

  #finish(): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#limit.cancel();
    if (this.#redis.status === 'end') return;
    this.#redis.disconnect();
    // It would wait for the other end to close as well, and a frozen one does not.
    (this.#redis.stream as { destroy(): void } | undefined)?.destroy();
  }
}
