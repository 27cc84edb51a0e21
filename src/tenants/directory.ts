import type { KeyLookup, Principal } from '../auth/keyring.ts';
import type { TenantSettings } from '../auth/settings.ts';
import type { Clock, Timer } from '../core/clock.ts';
import type { TenantBacking } from './backing.ts';
import { isGone, pruned, type Stored, type TenantDocument } from './document.ts';
import { FeedFollower } from './feed-follower.ts';
import { type TenantLog, TenantTable } from './table.ts';

/** How often others' changes are asked for: twice within the second that a change may take, and time to spare. Milliseconds. */
const POLL_EVERY = 400;
/** Each time that somebody else was faster, one change has been made: so many others at once there are not. */
const MOST_TRIES = 100;

export interface DirectoryOptions {
  backing: TenantBacking;
  clock: Clock;
  log: TenantLog;
}

/** A tenant without what the directory itself fills in. */
export type Draft = Omit<TenantDocument, 'version' | 'updatedAt'>;

/**
 * Makes of a tenant what it is to be: null = gone, the very same = nothing to do. Asked again if another change came in between; may
 * throw, and then nothing has been changed. Keys that have run out are not in `current` any more.
 */
export type Change = (current: TenantDocument | null, now: number) => Draft | null;

export type Updated =
  | { kind: 'done'; document: TenantDocument | null; changed: boolean }
  /** A key is this other tenant's. */
  | { kind: 'taken'; by: string }
  /** What is stored cannot be read here, so it is not to be replaced. */
  | { kind: 'unreadable' }
  /** Others keep changing it. */
  | { kind: 'crowded' };

/**
 * Tenants that were made through the admin API: looked up without a wait, followed while the store can be reached, kept as they
 * were while it cannot.
 */
export class TenantDirectory implements KeyLookup {
  readonly #options: DirectoryOptions;
  readonly #table: TenantTable;
  readonly #follower: FeedFollower | null;
  /** The last change of each tenant that is under way: those of one gateway wait for each other, instead of trying again and again. */
  readonly #changing = new Map<string, Promise<unknown>>();
  #timer: Timer | null = null;
  #closed = false;
  #following = true;

  constructor(options: DirectoryOptions) {
    this.#options = options;
    const { backing, log } = options;
    this.#table = new TenantTable(() => backing.time(), log);
    this.#follower = backing.feed === null ? null : new FeedFollower(backing.feed, this.#table, log);
  }

  /** `memory`: what is made is lost with the process. */
  get kind(): TenantBacking['kind'] {
    return this.#options.backing.kind;
  }

  /** The clock that keys run out by. Milliseconds since 1970. */
  time(): number {
    return this.#options.backing.time();
  }

  /** False until the store's state was read for the first time: then a key that is not found may all the same be somebody's. */
  get isComplete(): boolean {
    return this.#follower === null || this.#follower.caughtUp;
  }

  /** False while the store cannot be read: then a tenant that is not known here may all the same be there. */
  get isCurrent(): boolean {
    return this.isComplete && this.#following;
  }

  /** Resolves when all tenants are known, or the store turned out to be away: then they come when it does. */
  async start(): Promise<void> {
    if (this.#follower !== null) await this.#poll(this.#follower);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#follower?.idle();
  }

  find(sha256: string): Principal | null {
    return this.#table.find(sha256);
  }

  /** As it is known here; see `refresh`. */
  get(id: string): TenantDocument | null {
    return this.#table.get(id);
  }

  /** In no order. */
  list(): Iterable<TenantDocument> {
    return this.#table.documents();
  }

  /** At the start and at each reload. Tenants of the file are the file's. */
  setFile(tenants: readonly TenantSettings[]): void {
    this.#table.setFile(tenants);
  }

  isInFile(id: string): boolean {
    return this.#table.isInFile(id);
  }

  /** `acme/ci`, if the file has a key with this hash. */
  fileKey(sha256: string): string | null {
    return this.#table.fileKey(sha256);
  }

  /** Resolves when what the store holds at this moment is known here. Rejects with StateUnavailable. */
  async refresh(): Promise<void> {
    await this.#follower?.refresh();
  }

  /** Changes one tenant; in force here when it resolves. Rejects with StateUnavailable: it may have been done all the same. */
  async update(id: string, change: Change): Promise<Updated> {
    const before = this.#changing.get(id) ?? Promise.resolve();
    const mine = before.catch(() => {}).then(() => this.#update(id, change));
    this.#changing.set(id, mine);
    try {
      return await mine;
    } finally {
      if (this.#changing.get(id) === mine) this.#changing.delete(id);
    }
  }

  async #update(id: string, change: Change): Promise<Updated> {
    const { backing } = this.#options;
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      await this.refresh();
      if (this.#follower?.isUnreadable(id)) return { kind: 'unreadable' };
      const now = Math.floor(backing.time());
      const known = this.get(id);
      const current = known === null ? null : pruned(known, now);
      const draft = change(current, now);
      if (draft === current) return { kind: 'done', document: current, changed: false };
      const version = Math.max(now * 1000, this.#table.versionOf(id) + 1);
      const stored: Stored =
        draft === null ? { id, gone: true, version } : { ...draft, updatedAt: now, version };
      const written = await backing.write({ id, json: JSON.stringify(stored) }, known?.version ?? 0);
      if (written.kind === 'taken') return written;
      if (written.kind === 'changed') continue;
      this.#follower?.wrote(id, version);
      this.#table.take(stored);
      return { kind: 'done', document: isGone(stored) ? null : stored, changed: true };
    }
    return { kind: 'crowded' };
  }

  /** Once now, and then again and again: the next time is counted from the end of this one, so that they never pile up. */
  async #poll(follower: FeedFollower): Promise<void> {
    try {
      await follower.refresh();
      this.#follows(true, null);
    } catch (error) {
      this.#follows(false, error as Error);
    }
    if (!this.#closed)
      this.#timer = this.#options.clock.schedule(POLL_EVERY, () => void this.#poll(follower));
  }

  #follows(following: boolean, error: Error | null): void {
    if (following === this.#following) return;
    this.#following = following;
    const { log } = this.#options;
    if (following) log.info({}, 'tenants made through the admin API are followed again');
    else {
      log.warn(
        { error: error?.message },
        'changes of tenants cannot be read: those known here stay in force as they are',
      );
    }
  }
}
