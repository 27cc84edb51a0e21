import type { Chance, Clock, Timer } from '../core/clock.ts';
import type { Access, Place } from './access.ts';
import { Connection } from './connection.ts';

export interface LinkOptions {
  /** Where it leads to, asked before each connection. Rejects with an error whose message holds no secret. */
  find: () => Promise<Place>;
  access: Access;
  clock: Clock;
  chance: Chance;
  /** How long one try to connect may take. Milliseconds. */
  connectWithin: number;
  /** What the server calls our connections. */
  clientName: string;
  /** Between two tries, once several have failed; half a second unless said. Milliseconds. */
  longestWait?: number;
}

/** Waits between tries to connect: short, as a process that comes back should be found at once, and it is one packet. Milliseconds. */
const FIRST_WAIT = 25;
const LONGEST_WAIT = 500;

/** Keeps one connection to a server, and makes another whenever it is lost. */
export class Link {
  readonly #options: LinkOptions;
  readonly #onOpen: (connection: Connection) => void;
  readonly #onLost: (why: string) => void;
  #current: Connection | null = null;
  #timer: Timer | null = null;
  /** Tries since one led to a connection that was of use. */
  #tries = 0;
  #waiting: { resolve: (connection: Connection) => void; reject: (error: Error) => void }[] = [];
  #closed = false;

  /** `onLost` is called whenever there is none after all: it ended, or a try failed. */
  constructor(options: LinkOptions, onOpen: (connection: Connection) => void, onLost: (why: string) => void) {
    this.#options = options;
    this.#onOpen = onOpen;
    this.#onLost = onLost;
    void this.#connect();
  }

  /** The one that can be used now. */
  get connection(): Connection | null {
    return this.#current?.open === true ? this.#current : null;
  }

  /** Resolves to the next one; rejects if the try that is under way, or the next one, fails. */
  next(): Promise<Connection> {
    if (this.#closed) return Promise.reject(new Error('closed'));
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** The connection is of use: should it be lost, the next one is not waited for. */
  proven(): void {
    this.#tries = 0;
  }

  /** Gives up the one there is for another. */
  renew(why: string): void {
    if (this.#current === null || this.#closed) return;
    this.#current.close();
    this.#lost(why);
  }

  /** Is it connected to where it should be by now? If not, gives it up for another. */
  async verify(): Promise<void> {
    const connection = this.connection;
    if (connection === null) return;
    const { host, port } = await this.#options.find();
    if (connection !== this.connection || (connection.place.host === host && connection.place.port === port))
      return;
    this.renew('the master is another one now');
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#current?.close();
    this.#current = null;
    this.#settle((waiting) => waiting.reject(new Error('closed')));
  }

  async #connect(): Promise<void> {
    this.#timer = null;
    const { find, access, clock, connectWithin, clientName } = this.#options;
    let place: Place;
    try {
      place = await find();
    } catch (error) {
      if (!this.#closed) this.#lost(error instanceof Error ? error.message : String(error));
      return;
    }
    if (this.#closed) return;
    this.#current = new Connection(
      place,
      access,
      { clock, within: connectWithin, name: clientName },
      (connection) => {
        this.#settle((waiting) => waiting.resolve(connection));
        this.#onOpen(connection);
      },
      (why) => this.#lost(why),
    );
  }

  #lost(why: string): void {
    this.#current = null;
    this.#settle((waiting) => waiting.reject(new Error(why)));
    const { clock, chance, longestWait = LONGEST_WAIT } = this.#options;
    const longest = Math.min(longestWait, FIRST_WAIT * 2 ** this.#tries++);
    const wait = longest / 2 + (chance() * longest) / 2;
    this.#timer = clock.schedule(wait, () => void this.#connect());
    this.#onLost(why);
  }

  #settle(how: (waiting: { resolve: (c: Connection) => void; reject: (e: Error) => void }) => void): void {
    for (const waiting of this.#waiting.splice(0)) how(waiting);
  }
}
