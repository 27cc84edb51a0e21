import type { Clock } from '../core/clock.ts';
import { type Access, addressOf, knownHost, type Place, parseRedisUrl, parseSentinel } from './access.ts';
import { Connection, type ConnectionOptions } from './connection.ts';
import { Questions } from './questions.ts';
import { codeOf, isReply } from './replies.ts';
import { findMaster } from './sentinel.ts';
import type { RedisSettings } from './settings.ts';
import { within } from './within.ts';

/** An operator waits longer than a request, and a server may be far away. Milliseconds. */
const PATIENCE = 5_000;
const NAME = 'spillway-operator';

/** What a server said, or that it said nothing. Holds nothing else: what was sent may have been a password. */
export class ServerError extends Error {
  /** The first word of what it answered with: `NOPERM`. Null if it did not answer. */
  readonly code: string | null;

  constructor(server: string, why: string, code: string | null) {
    super(`${server}: ${why}`);
    this.name = 'ServerError';
    this.code = code;
  }
}

/** One Redis, over one connection, for an operator's command: nothing is routed, tried again or made up for. */
export interface Server {
  /** `host:port`, for people. */
  readonly name: string;
  readonly place: Place;
  readonly access: Access;
  /** Replies are those of RESP2. Rejects with a ServerError. */
  call(command: string, ...words: readonly string[]): Promise<unknown>;
  /** The same server, as somebody else; closed when `over` says so, opened or not. Rejects with a ServerError. */
  openAs(username: string, password: string, over: AbortSignal): Promise<Server>;
  close(): void;
}

class OpenServer implements Server {
  readonly name: string;
  readonly place: Place;
  readonly access: Access;
  readonly #clock: Clock;
  readonly #connection: Connection;

  constructor(connection: Connection, access: Access, clock: Clock) {
    this.name = addressOf(connection.place);
    this.place = connection.place;
    this.access = access;
    this.#connection = connection;
    this.#clock = clock;
  }

  async call(command: string, ...words: readonly string[]): Promise<unknown> {
    try {
      return await within(this.#clock, PATIENCE, this.#connection.send(command, words));
    } catch (error) {
      const { message } = error as Error;
      throw new ServerError(this.name, message, isReply(error) ? codeOf(error) : null);
    }
  }

  openAs(username: string, password: string, over: AbortSignal): Promise<Server> {
    return openServer(this.place, { ...this.access, username, password }, this.#clock, over);
  }

  close(): void {
    this.#connection.close();
  }
}

async function openServer(place: Place, access: Access, clock: Clock, over?: AbortSignal): Promise<Server> {
  const { promise, resolve, reject } = Promise.withResolvers<Connection>();
  const failed = (why: string) => reject(new ServerError(addressOf(place), why, null));
  const connection = new Connection(place, access, optionsWith(clock), resolve, failed);
  const stop = () => {
    connection.close();
    failed('given up');
  };
  if (over?.aborted) stop();
  over?.addEventListener('abort', stop, { once: true });
  await promise;
  return new OpenServer(connection, access, clock);
}

export interface Servers {
  /** The first is one that clients can be told of. */
  reached: readonly Server[];
  missed: readonly ServerError[];
}

/**
 * Opens a connection to every server that keeps users of its own: of a cluster all masters and replicas, behind sentinels the master
 * and its replicas. Rejects with an error if nobody can tell which those are.
 */
export async function openServers(redis: RedisSettings, clock: Clock): Promise<Servers> {
  const questions = new Questions(optionsWith(clock));
  try {
    const places = await placesOf(redis, questions);
    const access = accessOf(redis);
    const opened = await Promise.allSettled(places.map((place) => openServer(place, access, clock)));
    return {
      reached: opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])),
      missed: opened.flatMap((one) => (one.status === 'rejected' ? [one.reason as ServerError] : [])),
    };
  } finally {
    questions.close();
  }
}

function optionsWith(clock: Clock): ConnectionOptions {
  return { clock, within: PATIENCE, name: NAME };
}

function accessOf(redis: RedisSettings): Access {
  if (redis.kind === 'sentinel') return redis;
  if (redis.kind === 'single') return parseRedisUrl(redis.url);
  const [first] = redis.urls;
  if (first === undefined) throw new RangeError('a cluster has nodes');
  return parseRedisUrl(first);
}

async function placesOf(redis: RedisSettings, questions: Questions): Promise<Place[]> {
  switch (redis.kind) {
    case 'single':
      return [parseRedisUrl(redis.url)];
    case 'cluster':
      return await placesOfCluster(
        redis.urls.map((url) => parseRedisUrl(url)),
        questions,
      );
    case 'sentinel': {
      const sentinels = redis.sentinels.map(parseSentinel);
      const master = await findMaster(sentinels, redis.name, questions);
      return unique([master, ...(await replicasOf(sentinels, redis.name, questions))]);
    }
  }
}

/** Of the first that answers, in the order of the configuration, and that one first. */
async function placesOfCluster(seeds: readonly (Place & Access)[], questions: Questions): Promise<Place[]> {
  let why = '';
  for (const seed of seeds) {
    try {
      const shards = await questions.ask(seed, 'CLUSTER', ['SHARDS']);
      const nodes = (shards as unknown[][]).flatMap((shard) => fieldsOf(shard).get('nodes') as unknown[][]);
      const places = nodes.map((node) => placeOfNode(fieldsOf(node), seed));
      const isSeed = (place: Place) => addressOf(place) === addressOf(seed);
      return unique([...places.filter(isSeed), ...places]);
    } catch (error) {
      why = `${addressOf(seed)}: ${(error as Error).message}`;
    }
  }
  throw new Error(`no node tells who belongs to the cluster: ${why}`);
}

/** `endpoint` is how clients are to reach it: its name or its address. */
function placeOfNode(fields: ReadonlyMap<string, unknown>, { host, tls, port }: Place & Access): Place {
  const named = tls ? (fields.get('tls-port') ?? fields.get('port')) : fields.get('port');
  return {
    host: knownHost(fields.get('endpoint') as string | null, { host, port }),
    port: Number(named),
  };
}

/** All that any of them knows: who is asked in vain is told of, who is never asked is forgotten. */
async function replicasOf(
  sentinels: readonly (Place & Access)[],
  name: string,
  questions: Questions,
): Promise<Place[]> {
  const answers = await Promise.allSettled(
    sentinels.map((sentinel) => questions.ask(sentinel, 'SENTINEL', ['REPLICAS', name])),
  );
  return answers.flatMap((answer) =>
    answer.status === 'rejected'
      ? []
      : (answer.value as unknown[][]).map((replica) => {
          const fields = fieldsOf(replica);
          return { host: String(fields.get('ip')), port: Number(fields.get('port')) };
        }),
  );
}

/** Of a reply that is a flat list of names and values. */
function fieldsOf(list: readonly unknown[]): Map<string, unknown> {
  const fields = new Map<string, unknown>();
  for (let i = 0; i + 1 < list.length; i += 2) fields.set(String(list[i]), list[i + 1]);
  return fields;
}

function unique(places: readonly Place[]): Place[] {
  return [...new Map(places.map((place) => [addressOf(place), place])).values()];
}
