import { createHash } from 'node:crypto';
import type { Chance, Clock } from '../core/clock.ts';
import { parseRedisUrl, parseSentinel } from './access.ts';
import { Call, type CallOptions, type Request } from './call.ts';
import type { Script, StateChange, StateClient } from './client.ts';
import { Cluster } from './cluster.ts';
import { Questions } from './questions.ts';
import { Sentinels } from './sentinel.ts';
import type { RedisSettings, StateSettings } from './settings.ts';
import { Alone, type Topology, type TopologyOptions } from './topology.ts';

export interface StateDependencies {
  clock: Clock;
  chance: Chance;
  /** This process among others; the server shows it in its list of clients. */
  gateway: string;
}

export interface OpenState extends StateClient {
  /** Resolves when it is known for the first time what is there and what is not. It may be waited for, and need not be. */
  readonly started: Promise<void>;
}

/** A try to connect, with TLS and login, takes several round trips; and one packet that was lost takes a second. Milliseconds. */
const SHORTEST_CONNECT = 2_000;

/** Connects in the background, for as long as it takes: a Redis that is away is a change like any other. */
export function openState(
  settings: StateSettings & { redis: RedisSettings },
  dependencies: StateDependencies,
): OpenState {
  return new RedisState(settings, dependencies);
}

class RedisState implements OpenState {
  readonly started: Promise<void>;
  readonly #topology: Topology;
  readonly #questions: Questions;
  readonly #call: CallOptions;
  readonly #clock: Clock;
  readonly #hashes = new WeakMap<Script, string>();
  readonly #listeners = new Set<(change: StateChange) => void>();
  #closed = false;

  constructor(
    { redis, keyPrefix, commandTimeout }: StateSettings & { redis: RedisSettings },
    { clock, chance, gateway }: StateDependencies,
  ) {
    this.#clock = clock;
    const connectWithin = Math.max(SHORTEST_CONNECT, 4 * commandTimeout);
    const clientName = `spillway-${gateway.replaceAll(/[^!-~]/g, '-')}`;
    this.#questions = new Questions({ clock, within: connectWithin, name: clientName });
    this.#topology = makeTopology(redis, this.#questions, {
      clock,
      chance,
      keyPrefix,
      commandTimeout,
      connectWithin,
      clientName,
      onChange: (change) => {
        for (const listener of [...this.#listeners]) listener(change);
      },
    });
    this.#call = { topology: this.#topology, clock, commandTimeout };
    this.started = this.#topology.tried;
  }

  run(script: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    const [key = ''] = keys;
    let hash = this.#hashes.get(script);
    if (hash === undefined) {
      hash = createHash('sha1').update(script.lua).digest('hex');
      this.#hashes.set(script, hash);
    }
    const words = [hash, keys.length, ...keys, ...args];
    return this.#start({ key, command: 'EVALSHA', words, script });
  }

  command(name: string, ...args: readonly (string | number)[]): Promise<unknown> {
    // In capitals, for ioredis changes some replies of commands that it knows by their small letters.
    return this.#start({ key: String(args[0]), command: name.toUpperCase(), words: args, script: null });
  }

  time(key?: string): number {
    const node = key === undefined ? null : this.#topology.nodeFor(key);
    let latest = node?.time ?? null;
    if (latest === null) {
      for (const { time } of this.#topology.nodes) {
        if (time !== null && (latest === null || time > latest)) latest = time;
      }
    }
    return Math.floor(latest ?? this.#clock.wall());
  }

  isUp(key: string): boolean {
    if (this.#closed) return false;
    const node = this.#topology.nodeFor(key);
    return node === null ? this.#topology.why === null && this.#topology.nodes.length === 0 : node.up;
  }

  get allUp(): boolean {
    return !this.#closed && this.#topology.why === null && this.#topology.nodes.every(({ up }) => up);
  }

  onChange(listener: (change: StateChange) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#listeners.clear();
    this.#questions.close();
    this.#topology.close();
  }

  #start(request: Request): Promise<unknown> {
    return new Call(request, this.#call).promise;
  }
}

function makeTopology(redis: RedisSettings, questions: Questions, options: TopologyOptions): Topology {
  switch (redis.kind) {
    case 'single': {
      const server = parseRedisUrl(redis.url);
      return new Alone({ find: async () => server, watch() {}, close() {} }, server, options);
    }
    case 'sentinel': {
      const sentinels = redis.sentinels.map(parseSentinel);
      return new Alone(new Sentinels(sentinels, redis.name, questions, options), redis, options);
    }
    case 'cluster': {
      const [first, ...others] = redis.urls.map((url) => ({ ...parseRedisUrl(url), database: 0 }));
      if (first === undefined) throw new RangeError('a cluster has nodes');
      return new Cluster([first, ...others], options);
    }
  }
}
