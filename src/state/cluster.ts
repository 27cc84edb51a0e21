import type { Timer } from '../core/clock.ts';
import { type Access, addressOf, knownHost, type Place, placeFrom } from './access.ts';
import { Node } from './node.ts';
import { Questions } from './questions.ts';
import { SLOTS, slotOf } from './slots.ts';
import type { Redirection, Topology, TopologyOptions } from './topology.ts';
import { within } from './within.ts';

/** `CLUSTER SLOTS`: from, to, the master and its replicas; each host, port, id and more. */
type SlotRange = [from: number, to: number, ...nodes: [host: string | null, port: number, ...unknown[]][]];

/** How often it is asked who holds what, if nothing gives cause to ask sooner. Milliseconds. */
const REFRESH = 10_000;
/** And while nobody could be asked at all. Milliseconds. */
const RETRY = 250;
/** At least between two times: while slots are being moved, each of them gives cause. Milliseconds. */
const APART = 100;

/**
 * A Redis Cluster, with one connection to each master. It routes by itself rather than by ioredis' Cluster, which sends a command
 * again when its connection broke, though it may have been carried out.
 */
export class Cluster implements Topology {
  readonly known: Promise<void>;
  readonly tried: Promise<void>;
  readonly #options: TopologyOptions;
  readonly #seeds: readonly (Place & Access)[];
  readonly #access: Access;
  readonly #questions: Questions;
  #slots: (Node | null)[] = new Array(SLOTS).fill(null);
  /** By address: those that hold slots, and those that callers were sent to. */
  readonly #nodes = new Map<string, Node>();
  /** No longer of use, but with calls that may still be answered. */
  readonly #retired = new Map<Node, Timer>();
  #holders: readonly Node[] = [];
  /** Of the latest answer, replicas among them: one of them will know should all masters be gone. */
  #places: readonly Place[] = [];
  #why: string | null = null;
  #refreshing = false;
  #refreshedAt = Number.NEGATIVE_INFINITY;
  #timer: Timer | null = null;
  #probes = 0;
  #closed = false;
  readonly #found: () => void;

  /** The nodes of the cluster have the access of the first seed. */
  constructor(seeds: readonly [Place & Access, ...(Place & Access)[]], options: TopologyOptions) {
    this.#options = options;
    this.#seeds = seeds;
    this.#access = seeds[0];
    this.#questions = new Questions({
      clock: options.clock,
      within: options.connectWithin,
      name: options.clientName,
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    this.known = promise;
    this.#found = resolve;
    this.tried = promise.then(async () => void (await Promise.all(this.#holders.map(({ tried }) => tried))));
    void this.#refresh();
  }

  get nodes(): readonly Node[] {
    return this.#holders;
  }

  get why(): string | null {
    return this.#why;
  }

  nodeFor(key: string): Node | null {
    return this.#slots[slotOf(key)] ?? null;
  }

  redirect({ kind, address }: Redirection, from: Node): Node | null {
    const writer = from.link.connection?.place;
    const place = writer === undefined ? null : placeFrom(address, writer);
    if (place === null) return null;
    const node = this.#nodeAt(place, null);
    if (kind === 'MOVED') this.#doubt();
    return node;
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#questions.close();
    for (const timer of this.#retired.values()) timer.cancel();
    for (const node of [...this.#nodes.values(), ...this.#retired.keys()]) node.close();
    this.#found();
  }

  /** Asks again soon. */
  #doubt(): void {
    if (this.#refreshing || this.#closed) return;
    this.#refreshIn(Math.max(0, this.#refreshedAt + APART - this.#options.clock.now()));
  }

  #refreshIn(wait: number): void {
    this.#timer?.cancel();
    this.#timer = this.#options.clock.schedule(wait, () => void this.#refresh());
  }

  async #refresh(): Promise<void> {
    this.#refreshing = true;
    this.#timer?.cancel();
    try {
      const { ranges, writer } = await this.#ask();
      if (!this.#closed) this.#apply(ranges, writer);
    } catch (error) {
      // Who is known already is asked again by itself; only if nobody is, there is nobody else to tell.
      if (!this.#closed && this.#holders.length === 0) this.#cannotTell((error as Error).message);
    }
    this.#refreshing = false;
    this.#refreshedAt = this.#options.clock.now();
    if (!this.#closed) this.#refreshIn(this.#holders.length === 0 ? RETRY : REFRESH);
  }

  /** One that we are connected to, else whoever answers first of all that we ever heard of. */
  async #ask(): Promise<{ ranges: SlotRange[]; writer: Place }> {
    const { clock, chance, commandTimeout } = this.#options;
    const open = [...this.#nodes.values()]
      .filter(({ up }) => up)
      .map(({ link }) => link.connection)
      .filter((connection) => connection !== null);
    const one = open[Math.floor(chance() * open.length)];
    if (one !== undefined) {
      const reply = await within(clock, commandTimeout, one.send('CLUSTER', ['SLOTS'])).catch(() => null);
      if (reply !== null) return { ranges: read(reply), writer: one.place };
    }
    const asked = new Map<string, Place & Access>();
    for (const place of this.#places) asked.set(addressOf(place), { ...this.#access, ...place });
    for (const seed of this.#seeds) asked.set(addressOf(seed), seed);
    const answers = [...asked.values()].map(async (place) => ({
      ranges: read(await this.#questions.ask(place, 'CLUSTER', ['SLOTS'])),
      writer: place,
    }));
    return await Promise.any(answers).catch((error: AggregateError) => {
      throw error.errors.at(-1);
    });
  }

  #apply(ranges: readonly SlotRange[], writer: Place): void {
    const slots = new Array<Node | null>(SLOTS).fill(null);
    const holders = new Set<Node>();
    const places: Place[] = [];
    for (const [from, to, ...nodes] of ranges) {
      for (const [host, port] of nodes) places.push({ host: knownHost(host, writer), port });
      const [master] = nodes;
      if (master === undefined) continue;
      const before = this.#slots.slice(from, to + 1).find((node) => node?.up === false) ?? null;
      const node = this.#nodeAt({ host: knownHost(master[0], writer), port: master[1] }, before);
      slots.fill(node, from, to + 1);
      holders.add(node);
    }
    this.#slots = slots;
    this.#holders = [...holders];
    this.#places = places;
    this.#dismiss(holders);
    if (this.#why !== null) this.#options.onChange({ node: 'redis', up: true, why: null });
    this.#why = null;
    this.#found();
  }

  /** Nobody is asked any more who holds nothing. */
  #dismiss(holders: ReadonlySet<Node>): void {
    const { clock, commandTimeout, onChange } = this.#options;
    const stoodFor = new Set(this.#holders.map(({ announced }) => announced));
    for (const [address, node] of this.#nodes) {
      if (holders.has(node)) continue;
      this.#nodes.delete(address);
      node.retire();
      this.#retired.set(
        node,
        clock.schedule(commandTimeout, () => {
          this.#retired.delete(node);
          node.close();
        }),
      );
      const { announced } = node;
      if (announced !== null && !stoodFor.has(announced)) {
        onChange({ node: announced, up: true, why: 'others hold all that it held' });
      }
    }
  }

  /** `before`: one that is away, and that it takes over from if it is new. */
  #nodeAt(place: Place, before: Node | null): Node {
    const name = addressOf(place);
    const present = this.#nodes.get(name);
    if (present !== undefined) return present;
    const taken = [...this.#nodes.values()].some(
      (other) => other !== before && other.announced !== null && other.announced === before?.announced,
    );
    const node = new Node({
      ...this.#options,
      find: async () => place,
      access: this.#access,
      name,
      probeKey: (node) => this.#probeKey(node),
      clustered: true,
      onDoubt: () => this.#doubt(),
      ...(before === null ? {} : { standsInFor: taken ? null : before.announced }),
    });
    this.#nodes.set(name, node);
    return node;
  }

  /** Another one each time: a slot may be on its way elsewhere. Null if it holds none. */
  #probeKey(node: Node): string | null {
    if (!this.#holders.includes(node)) return null;
    for (let tries = 0; tries < SLOTS * 20; tries++) {
      const key = `${this.#options.keyPrefix}:{!${this.#probes++}}:probe`;
      if (this.nodeFor(key) === node) return key;
    }
    return null;
  }

  #cannotTell(why: string): void {
    this.#found();
    if (this.#why === null) this.#options.onChange({ node: 'redis', up: false, why });
    this.#why = why;
  }
}

function read(reply: unknown): SlotRange[] {
  const ranges = reply as SlotRange[];
  if (!Array.isArray(ranges) || ranges.length === 0) throw new Error('its cluster has no slots');
  return ranges;
}
