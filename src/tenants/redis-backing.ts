import type { Script, StateClient } from '../state/client.ts';
import { StateUnavailable } from '../state/unavailable.ts';
import type { Feed, Page, Restored, Row, TenantBacking, Written } from './backing.ts';
import { CHANGES, RESTORE, WRITE } from './scripts.ts';

/** Of one page of changes: little enough for Redis to send within any command timeout, and to be read here between two requests. */
const ROWS_A_PAGE = 100;
const BYTES_A_PAGE = 256 * 1024;
/** Rows given back in one go. */
const ROWS_A_BATCH = 100;
/** Our idea of Redis' clock may be behind by a round trip. Milliseconds. */
const CLOCK_ERROR = 1000;

export interface RedisBackingOptions {
  client: StateClient;
  keyPrefix: string;
  /** Of the client. Milliseconds. */
  commandTimeout: number;
}

/** Shared by all gateways on one Redis. The slot is named by `!`, which no tenant can be called. */
export class RedisBacking implements TenantBacking, Feed {
  readonly kind = 'redis';
  readonly feed = this;
  readonly #client: StateClient;
  readonly #keys: readonly string[];
  readonly #patience: number;

  constructor({ client, keyPrefix, commandTimeout }: RedisBackingOptions) {
    this.#client = client;
    const base = `${keyPrefix}:{!}:tenants`;
    this.#keys = [base, `${base}:changes`, `${base}:marks`, `${base}:gone`, `${base}:owners`];
    this.#patience = commandTimeout + CLOCK_ERROR;
  }

  time(): number {
    return this.#client.time(this.#keys[0]);
  }

  async write({ id, json }: Row, expected: number): Promise<Written> {
    const deadline = Math.ceil(this.time() + this.#patience);
    const [word, by = ''] = (await this.#run(WRITE, [id, json, expected, deadline])) as string[];
    if (word === 'written' || word === 'changed') return { kind: word };
    if (word === 'taken') return { kind: 'taken', by };
    throw new StateUnavailable('the command came too late to be carried out');
  }

  async changes(known: string, after: string): Promise<Page | 'diverged'> {
    const answer = await this.#run(CHANGES, [known, after, ROWS_A_PAGE, BYTES_A_PAGE]);
    const [position = '', isLast, ...pairs] = answer as [string, number, ...string[]];
    return position === 'diverged' ? position : { rows: rowsOf(pairs), position, isLast: isLast === 1 };
  }

  async restore(rows: readonly Row[]): Promise<Restored[]> {
    const restored: Restored[] = [];
    for (let i = 0; i < rows.length; i += ROWS_A_BATCH) {
      const batch = rows.slice(i, i + ROWS_A_BATCH);
      const answer = await this.#run(
        RESTORE,
        batch.flatMap(({ id, json }) => [id, json]),
      );
      restored.push(...rowsOf(answer as string[]).map(({ id: kind, json }) => ({ kind, json }) as Restored));
    }
    return restored;
  }

  #run(script: Script, args: readonly (string | number)[]): Promise<unknown> {
    return this.#client.run(script, this.#keys, args);
  }
}

/** From a flat list of pairs. */
function rowsOf(pairs: readonly string[]): Row[] {
  return Array.from({ length: pairs.length / 2 }, (_, i) => ({
    id: pairs[2 * i] ?? '',
    json: pairs[2 * i + 1] ?? '',
  }));
}
