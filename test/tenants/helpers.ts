import assert from 'node:assert/strict';
import { hashOfKey } from '../../src/auth/key-hash.ts';
import { systemClock } from '../../src/core/clock.ts';
import { ApiError } from '../../src/core/errors.ts';
import { type OpenState, openState } from '../../src/state/connect.ts';
import { type FileSettings, type Origin, TenantAdmin, type TenantChange } from '../../src/tenants/admin.ts';
import type { Feed, TenantBacking } from '../../src/tenants/backing.ts';
import { TenantDirectory } from '../../src/tenants/directory.ts';
import { MemoryBacking } from '../../src/tenants/memory-backing.ts';
import { RedisBacking } from '../../src/tenants/redis-backing.ts';
import { ManualClock } from '../support/manual-clock.ts';
import type { CleansUp, RedisServer } from '../support/redis.ts';

export interface Logged {
  level: 'info' | 'warn';
  message: string;
  fields: Record<string, unknown>;
}

/** One gateway's part in it: what it knows, and what its operators can ask for. */
export interface Gateway {
  directory: TenantDirectory;
  admin: TenantAdmin;
  /** Drives the polls. */
  clock: ManualClock;
  log: Logged[];
  changes: TenantChange[];
  /** Moves the clock that keys run out by, of this gateway alone. */
  later(ms: number): void;
}

export const ORIGIN: Origin = { request: 'request-1', address: '127.0.0.1' };

/** A file without tenants, with the models `m` and `n`. */
export function file(changes: Partial<FileSettings> = {}): FileSettings {
  const names = ['m', 'n'];
  return {
    tenants: [],
    auth: 'keys',
    models: { isModel: (name) => names.includes(name), all: () => names },
    keyGrace: 3_600_000,
    ...changes,
  };
}

export type Call = 'write' | 'changes' | 'restore';

/** A backing whose clock can be moved, and that lets a test come between. */
export class Watched implements TenantBacking {
  readonly kind: TenantBacking['kind'];
  readonly feed: Feed | null;
  readonly #backing: TenantBacking;
  /** Milliseconds. */
  offset = 0;
  /** Stands around each call. */
  around: <T>(call: Call, work: () => Promise<T>) => Promise<T> = (_call, work) => work();

  constructor(backing: TenantBacking) {
    this.#backing = backing;
    this.kind = backing.kind;
    const { feed } = backing;
    this.feed =
      feed === null
        ? null
        : {
            changes: (...args) => this.around('changes', () => feed.changes(...args)),
            restore: (...args) => this.around('restore', () => feed.restore(...args)),
          };
  }

  time(): number {
    return this.#backing.time() + this.offset;
  }

  write(...args: Parameters<TenantBacking['write']>) {
    return this.around('write', () => this.#backing.write(...args));
  }
}

/** Not started: a test that wants polls says so. */
export function gatewayOn(backing: Watched, settings: FileSettings = file()): Gateway {
  const clock = new ManualClock();
  const log: Logged[] = [];
  const changes: TenantChange[] = [];
  const note = (level: Logged['level']) => (fields: object, message: string) => {
    log.push({ level, message, fields: fields as Record<string, unknown> });
  };
  const directory = new TenantDirectory({ backing, clock, log: { info: note('info'), warn: note('warn') } });
  const admin = new TenantAdmin({
    directory,
    fileName: 'config/spillway.yaml',
    file: settings,
    onChange: (change) => changes.push(change),
  });
  const later = (ms: number) => {
    backing.offset += ms;
  };
  return { directory, admin, clock, log, changes, later };
}

export function inMemory(): Watched {
  return new Watched(new MemoryBacking(Date.now));
}

export function stateOn(t: CleansUp, redis: RedisServer, commandTimeout = 1000): OpenState {
  const state = openState(
    {
      redis: { kind: 'single', url: redis.url },
      keyPrefix: 'spillway',
      commandTimeout,
      onOutage: 'local',
    },
    { clock: systemClock, chance: Math.random, gateway: 'test' },
  );
  t.after(() => state.close());
  return state;
}

export async function inRedis(t: CleansUp, redis: RedisServer, keyPrefix = 'spillway'): Promise<Watched> {
  const client = stateOn(t, redis);
  await client.started;
  return new Watched(new RedisBacking({ client, keyPrefix, commandTimeout: 1000 }));
}

/** Fails unless it is refused with this code. */
export async function refused(work: Promise<unknown>, code: string, message = /./): Promise<ApiError> {
  let error: unknown = null;
  await work.catch((reason: unknown) => {
    error = reason;
  });
  assert.ok(error instanceof ApiError, `not refused: ${String(error)}`);
  assert.equal(error.code, code, error.message);
  assert.match(error.message, message);
  return error;
}

/** Whose key it is: `acme/ci`, or null. */
export function found(gateway: Gateway, key: string): string | null {
  const principal = gateway.directory.find(hashOfKey(key));
  return principal === null ? null : `${principal.tenant.id}/${principal.key}`;
}

export async function newKeyOf(
  gateway: Gateway,
  tenant: string,
  id: string,
  more: object = {},
): Promise<string> {
  const { key } = await gateway.admin.putKey(tenant, { id, ...more }, ORIGIN);
  assert.match(key ?? '', /^sw-[\w-]{43}$/);
  return key ?? '';
}
