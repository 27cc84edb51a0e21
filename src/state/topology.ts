import type { Chance, Clock } from '../core/clock.ts';
import type { Access, Place } from './access.ts';
import type { StateChange } from './client.ts';
import { Node } from './node.ts';

/** Where a command should have gone. */
export interface Redirection {
  /** From now on, or just once. */
  kind: 'MOVED' | 'ASK';
  /** `host:port`. */
  address: string;
}

/** Which node holds which key. */
export interface Topology {
  /** Null where nobody is known to. */
  nodeFor(key: string): Node | null;
  /** Follows a redirection by one of the nodes; null where it leads nowhere. */
  redirect(to: Redirection, from: Node): Node | null;
  /** Those that hold keys. */
  readonly nodes: readonly Node[];
  /** Why nothing is known; null if something is, or is still being found out. */
  readonly why: string | null;
  /** Resolves when it is known for the first time who holds what, or that it cannot be found out. */
  readonly known: Promise<void>;
  /** And when it is known of all of them whether they are there. */
  readonly tried: Promise<void>;
  close(): void;
}

export interface TopologyOptions {
  clock: Clock;
  chance: Chance;
  keyPrefix: string;
  /** Milliseconds. */
  commandTimeout: number;
  connectWithin: number;
  clientName: string;
  onChange: (change: StateChange) => void;
}

/** Where the node that holds all is: always there, or wherever others say. */
export interface Whereabouts {
  /** Asked before each connection. Rejects with an error whose message holds no secret. */
  find(): Promise<Place>;
  /** Calls `moved` when it is elsewhere, if that is ever heard. */
  watch(moved: () => void): void;
  close(): void;
}

/** One node that holds all. */
export class Alone implements Topology {
  readonly nodes: readonly [Node];
  readonly why = null;
  readonly known = Promise.resolve();
  readonly tried: Promise<void>;

  readonly #where: Whereabouts;

  constructor(where: Whereabouts, access: Access, options: TopologyOptions) {
    this.#where = where;
    const key = `${options.keyPrefix}:{!}:probe`;
    this.nodes = [
      new Node({
        ...options,
        find: () => where.find(),
        access,
        name: 'redis',
        probeKey: () => key,
        clustered: false,
        onDoubt: () => {},
      }),
    ];
    const [node] = this.nodes;
    this.tried = node.tried;
    // Should nobody say where it is now, it goes on as before.
    where.watch(() => void node.link.verify().catch(() => {}));
  }

  nodeFor(): Node {
    return this.nodes[0];
  }

  redirect(): null {
    return null;
  }

  close(): void {
    this.#where.close();
    this.nodes[0].close();
  }
}
