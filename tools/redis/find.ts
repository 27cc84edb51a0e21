/** Where redis-server is on this machine; fetches one where there is none, so that the tests need nothing but Node and npm. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fetched, fetchRedis } from './fetch.ts';

const USUAL = ['/usr/bin', '/usr/local/bin', '/usr/sbin', '/opt/homebrew/bin', '/opt/redis/bin'];

let found: Promise<string> | null = null;

/** The path of a server. `REDIS_SERVER` says it; else it is looked for, and at last fetched. */
export function findRedis(): Promise<string> {
  found ??= find();
  return found;
}

async function find(): Promise<string> {
  const named = process.env['REDIS_SERVER'];
  if (named !== undefined && named !== '') {
    if (!runs(named)) throw new Error(`REDIS_SERVER names ${named}, which cannot be run`);
    return named;
  }
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...USUAL];
  const candidates = [...folders.map((folder) => join(folder, 'redis-server')), fetched()];
  return candidates.find(runs) ?? (await fetchRedis(runs));
}

function runs(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

// Before the tests, so that none of them has to wait for it.
if (import.meta.main) await findRedis();
