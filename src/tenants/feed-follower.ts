import { BEGINNING, type Feed, type Row } from './backing.ts';
import { readStored, type Stored } from './document.ts';
import type { TenantLog, TenantTable } from './table.ts';

/** Keeps the table in step with the store. */
export class FeedFollower {
  readonly #feed: Feed;
  readonly #table: TenantTable;
  readonly #log: TenantLog;
  /** The table is the state of the store here. */
  #known = BEGINNING;
  #caughtUp = false;
  /** Never rejects. */
  #running: Promise<void> = Promise.resolve();
  #next: Promise<void> | null = null;
  /** Versions that this gateway has written, and not yet seen in the store again. */
  readonly #written = new Map<string, number>();
  /** Tenants whose last change cannot be read here, with the text as it was. */
  readonly #unreadable = new Map<string, string>();

  constructor(feed: Feed, table: TenantTable, log: TenantLog) {
    this.#feed = feed;
    this.#table = table;
    this.#log = log;
  }

  /** Has it ever known the store's state? */
  get caughtUp(): boolean {
    return this.#caughtUp;
  }

  isUnreadable(id: string): boolean {
    return this.#unreadable.has(id);
  }

  /**
   * The store has said that it took this. A store that then fails may come back without it, and nobody else will have seen it: so it is
   * looked for.
   */
  wrote(id: string, version: number): void {
    this.#written.set(id, version);
  }

  /** Resolves when what the store holds at this moment is known. */
  refresh(): Promise<void> {
    // One that is under way may have looked too early.
    this.#next ??= this.#running.then(() => {
      this.#next = null;
      const run = this.#catchUp();
      this.#running = run.catch(() => {});
      return run;
    });
    return this.#next;
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    await this.#next?.catch(() => {});
    await this.#running;
  }

  async #catchUp(): Promise<void> {
    const written = [...this.#written];
    const position = await this.#read(this.#known, null);
    const missed = written.some(([id, version]) => (this.#written.get(id) ?? 0) === version);
    this.#known = position === null || missed ? await this.#makeUp() : position;
    for (const [id, version] of written) if (this.#written.get(id) === version) this.#written.delete(id);
    this.#caughtUp = true;
  }

  /** Takes over what is new since then; null if the store knows nothing of that state. `seen`: to be filled with versions. */
  async #read(known: string, seen: Map<string, number> | null): Promise<string | null> {
    for (let after = known; ; ) {
      const page = await this.#feed.changes(known, after);
      if (page === 'diverged') return null;
      for (const row of page.rows) {
        const stored = this.#stored(row);
        // Of what cannot be read, ours is not the newer one.
        const version = stored?.version ?? Number.POSITIVE_INFINITY;
        seen?.set(row.id, version);
        if ((this.#written.get(row.id) ?? Number.POSITIVE_INFINITY) <= version) this.#written.delete(row.id);
        if (stored !== null) this.#table.take(stored);
      }
      if (page.isLast) return page.position;
      after = page.position;
    }
  }

  /**
   * The store has lost what it knew, all of it or the last of it: then what is known here goes back into it, where it is newer. So a
   * key that was revoked stays revoked, and tenants outlive a Redis without a disk for as long as one gateway lives.
   */
  async #makeUp(): Promise<string> {
    const seen = new Map<string, number>();
    const position = (await this.#read(BEGINNING, seen)) ?? BEGINNING;
    const lost = [...this.#table.stored()].filter(({ id, version }) => version > (seen.get(id) ?? 0));
    if (lost.length === 0) return position;
    const results = await this.#feed.restore(lost.map((one) => ({ id: one.id, json: JSON.stringify(one) })));
    let restored = 0;
    for (const [index, { id }] of lost.entries()) {
      const result = results[index];
      if (result === undefined) continue;
      if (result.kind === 'kept') restored++;
      else if (result.kind === 'newer') this.#take({ id, json: result.json });
      else this.#table.drop(id);
      if (result.kind === 'taken') {
        this.#log.warn(
          { tenant: id },
          'a tenant that Redis had lost is given up: a key of it is another tenant’s now',
        );
      }
    }
    if (restored > 0) this.#log.warn({ tenants: restored }, 'Redis had lost tenants: they were written back');
    return position;
  }

  #take(row: Row): void {
    const stored = this.#stored(row);
    if (stored !== null) this.#table.take(stored);
  }

  #stored({ id, json }: Row): Stored | null {
    const stored = readStored(json);
    if (stored !== null && stored.id === id) {
      this.#unreadable.delete(id);
      return stored;
    }
    if (this.#unreadable.get(id) !== json) {
      this.#unreadable.set(id, json);
      this.#log.warn(
        { tenant: id },
        'what is stored of a tenant cannot be read here (is a newer gateway beside this one?): what was known of it before stays in force',
      );
    }
    return null;
  }
}
