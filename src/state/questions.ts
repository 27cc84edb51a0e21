import type { Access, Place } from './access.ts';
import { Connection, type ConnectionOptions, type Words } from './connection.ts';
import { inWords, isReply, refusalOf } from './replies.ts';
import { whyOf } from './why.ts';
import { within } from './within.ts';

/** Questions to servers that we keep no connection to: each has one of its own, for as long as it takes. */
export class Questions {
  readonly #options: ConnectionOptions;
  readonly #open = new Map<Connection, (error: Error) => void>();
  #closed = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  /** Rejects with an error whose message holds no secret. */
  async ask(server: Place & Access, command: string, words: Words): Promise<unknown> {
    if (this.#closed) throw new Error('closed');
    const options = this.#options;
    const { promise: opened, resolve, reject } = Promise.withResolvers<Connection>();
    const connection = new Connection(server, server, options, resolve, (why) => reject(new Error(why)));
    this.#open.set(connection, reject);
    try {
      return await within(options.clock, options.within, (await opened).send(command, words));
    } catch (error) {
      if (!isReply(error)) throw new Error(whyOf(error as Error));
      const refusal = refusalOf(error);
      throw refusal === null ? error : new Error(inWords(refusal));
    } finally {
      this.#open.delete(connection);
      connection.close();
    }
  }

  /** Gives up all that are under way. */
  close(): void {
    this.#closed = true;
    for (const [connection, reject] of this.#open) {
      connection.close();
      reject(new Error('closed'));
    }
  }
}
