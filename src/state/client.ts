/** A Lua script: run by its hash, and sent whole where Redis does not know it yet. */
export interface Script {
  readonly lua: string;
}

/**
 * The one connection to Redis: single, Cluster or Sentinel. Every call ends within the command timeout, with an answer or with
 * StateUnavailable; a call that was given up may all the same still be carried out.
 */
export interface StateClient {
  /** Runs a script on the node that holds its keys, which are all of one slot. `partition` of the first key is marked by how it went. */
  run(script: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown>;
  /** Any other command, likewise; the first argument is its key. */
  command(name: string, ...args: readonly (string | number)[]): Promise<unknown>;
  /**
   * Redis' clock now, as well as it is known here, never behind it by more than a round trip nor ahead by more. Milliseconds since 1970.
   * That of the node that holds the key: the nodes of a cluster have a clock each. Without a key: of the one whose is ahead.
   */
  time(key?: string): number;
  /** Is the node that holds this key thought to be reachable? False: only the client's own probes ask it, until one succeeds. */
  isUp(key: string): boolean;
  /** Are all of them? */
  readonly allUp: boolean;
  /** Called when a node goes away or is back. Returns how to stop. */
  onChange(listener: (change: StateChange) => void): () => void;
  close(): Promise<void>;
}

export interface StateChange {
  /** Which node, for people: `redis`, or its host and port in a cluster. No secrets. */
  node: string;
  up: boolean;
  /** Why it is thought to be away; of one that is back null, or what took its place. */
  why: string | null;
}
