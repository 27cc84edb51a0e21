import type { Access, Place } from './access.ts';
import { Link, type LinkOptions } from './link.ts';
import type { Questions } from './questions.ts';
import type { Whereabouts } from './topology.ts';

/** A sentinel that is away is tried again this often: the others know as much. Milliseconds. */
const RETRY = 5_000;
/** What a sentinel says there: the name, and the places of the old and the new master. */
const CHANNEL = '+switch-master';

/**
 * Asks all sentinels where the master is, and believes the one whose news is the latest: one that was cut off from the others still
 * names the old master. Rejects with an error that says why none could tell.
 */
export async function findMaster(
  sentinels: readonly (Place & Access)[],
  name: string,
  questions: Questions,
): Promise<Place> {
  const answers = await Promise.allSettled(
    sentinels.map(async (sentinel) => {
      const reply = await questions.ask(sentinel, 'SENTINEL', ['MASTER', name]);
      return read(reply as string[]);
    }),
  );
  let latest: (Place & { epoch: number }) | null = null;
  let why = '';
  for (const answer of answers) {
    if (answer.status === 'rejected') why = (answer.reason as Error).message;
    else if (latest === null || answer.value.epoch > latest.epoch) latest = answer.value;
  }
  if (latest === null) throw new Error(`no sentinel says where the master is: ${why}`);
  return { host: latest.host, port: latest.port };
}

/** The reply is a flat list of fields and values. */
function read(reply: readonly string[]): Place & { epoch: number } {
  const field = (name: string) => reply[reply.indexOf(name) + 1] ?? '';
  return { host: field('ip'), port: Number(field('port')), epoch: Number(field('config-epoch')) };
}

/** Follows a master by what its sentinels say. */
export class Sentinels implements Whereabouts {
  readonly #sentinels: readonly (Place & Access)[];
  readonly #name: string;
  readonly #questions: Questions;
  readonly #options: Omit<LinkOptions, 'find' | 'access'>;
  readonly #links: Link[] = [];

  constructor(
    sentinels: readonly (Place & Access)[],
    name: string,
    questions: Questions,
    options: Omit<LinkOptions, 'find' | 'access'>,
  ) {
    this.#sentinels = sentinels;
    this.#name = name;
    this.#questions = questions;
    this.#options = options;
  }

  find(): Promise<Place> {
    return findMaster(this.#sentinels, this.#name, this.#questions);
  }

  /** A master that was replaced while it lives goes on taking writes for seconds until it is told, and they are lost. */
  watch(moved: () => void): void {
    const hear = (text: string) => {
      if (text.startsWith(`${this.#name} `)) moved();
    };
    for (const sentinel of this.#sentinels) {
      const link = new Link(
        { ...this.#options, find: async () => sentinel, access: sentinel, longestWait: RETRY },
        (connection) => {
          // Who may not listen finds out later.
          connection.subscribe(CHANNEL, hear).then(
            () => link.proven(),
            () => {},
          );
        },
        () => {},
      );
      this.#links.push(link);
    }
  }

  close(): void {
    for (const link of this.#links) link.close();
  }
}
