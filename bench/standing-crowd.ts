/**
 * Clients whose connections stand, and who together ask at a fixed rate whatever becomes of what they asked: a request that is due goes out on the connection
 * that has been free for longest. They heed nothing: whoever was refused asks again when it is its turn, whatever it was told. Where no connection is free, the request
 * that was due is not sent, and is counted.
 */
import { type Answer, type Asked, Connection, requestBytes } from './client.ts';
import { quantile } from './statistics.ts';

/** So many connections are opened at once, that none of them has to be tried again. */
const BATCH = 50;
const BATCH_EVERY_MS = 30;

export interface Tally {
  seconds: number;
  sent: number;
  /** Whole answers with status 200 that came meanwhile, whenever they were asked for. */
  answered: number;
  refused: number;
  /** Answered otherwise, or not to the end. */
  failed: number;
  /** Were due while no connection was free. */
  unsent: number;
  /** How late the loader was with those that were due, milliseconds: the 99th percentile. */
  latenessP99: number;
}

interface Counts {
  since: number;
  sent: number;
  answered: number;
  refused: number;
  failed: number;
  unsent: number;
  lateness: number[];
}

function noCounts(): Counts {
  return { since: performance.now(), sent: 0, answered: 0, refused: 0, failed: 0, unsent: 0, lateness: [] };
}

export class StandingCrowd {
  readonly #port: number;
  readonly #request: Buffer;
  /** Open, and with nothing asked on them: the one that was free first comes first. */
  readonly #free: Connection[] = [];
  readonly #all = new Set<Connection>();
  #counts = noCounts();
  #timer: NodeJS.Timeout | null = null;

  private constructor(asked: Asked) {
    this.#port = Number(new URL(asked.url).port);
    this.#request = requestBytes(asked);
  }

  /** Resolves when all connections stand. */
  static async open(asked: Asked, connections: number): Promise<StandingCrowd> {
    const crowd = new StandingCrowd(asked);
    while (crowd.#all.size < connections) {
      const batch = Array.from({ length: Math.min(BATCH, connections - crowd.#all.size) }, () =>
        crowd.#connect(),
      );
      crowd.#free.push(...batch);
      await Promise.all(batch.map((connection) => connection.opened()));
      await new Promise((resolve) => setTimeout(resolve, BATCH_EVERY_MS));
    }
    return crowd;
  }

  /** Asks so often a second until it is closed. */
  begin(rate: number): void {
    const start = performance.now();
    let due = 0;
    const tick = () => {
      const now = performance.now();
      for (; start + (due * 1000) / rate <= now; due++) {
        this.#counts.lateness.push(now - start - (due * 1000) / rate);
        this.#send();
      }
      this.#timer = setTimeout(tick, 1);
    };
    tick();
  }

  /** Forgets what was counted. */
  count(): void {
    this.#counts = noCounts();
  }

  /** What was counted since. */
  tally(): Tally {
    const { since, lateness, ...counts } = this.#counts;
    const seconds = (performance.now() - since) / 1000;
    return { seconds, ...counts, latenessP99: quantile(lateness, 0.99) };
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const connection of this.#all) connection.close();
  }

  #connect(): Connection {
    const connection = new Connection(this.#port);
    this.#all.add(connection);
    return connection;
  }

  #send(): void {
    let connection = this.#free.shift();
    if (connection === undefined) {
      this.#counts.unsent++;
      return;
    }
    if (connection.broken) {
      this.#all.delete(connection);
      connection = this.#connect();
    }
    this.#counts.sent++;
    this.#ask(connection);
  }

  #ask(connection: Connection): void {
    connection.ask(this.#request, ({ ok, refused }: Answer) => {
      if (ok) this.#counts.answered++;
      else if (refused) this.#counts.refused++;
      else this.#counts.failed++;
      this.#free.push(connection);
    });
  }
}
