import { Keys } from '../quota/redis/keys.ts';
import { type Server, ServerError } from '../state/admin.ts';
import { type TenantUser, usageKeys } from './tenant-user.ts';

/** What Redis answers with where a user may not. */
const REFUSED = 'NOPERM';

/**
 * Finds out, over a connection of the user's own, that it can read its tenant's usage and do nothing else. Rejects with an error that
 * says what it could do, or not do. What is tried would do no harm if it were let through.
 */
export async function prove(as: Server, user: TenantUser, day: string): Promise<void> {
  const results = await Promise.all([
    ...granted(user, day).map(async (words) => ({ words, may: true, code: await codeFrom(as, words) })),
    ...denied(user, day).map(async (words) => ({ words, may: false, code: await codeFrom(as, words) })),
  ]);
  const wrong = results.filter(({ may, code }) => may !== isLetThrough(code, user.clustered));
  if (wrong.length === 0) return;
  const said = wrong.map(
    ({ words, code }) => `\`${words.join(' ')}\` was answered with ${code ?? 'success'}`,
  );
  throw new Error(`${as.name}: ${said.join('; ')}`);
}

/** Null: it was done. Rejects if there was no answer. */
async function codeFrom(as: Server, [command = '', ...words]: readonly string[]): Promise<string | null> {
  try {
    await as.call(command, ...words);
    return null;
  } catch (error) {
    if (!(error instanceof ServerError) || error.code === null) throw error;
    // Some operators take dangerous commands away from everybody.
    return /ERR unknown (?:sub)?command/.test(error.message) ? REFUSED : error.code;
  }
}

/** Whether the user may is looked at before who has the key. */
function isLetThrough(code: string | null, clustered: boolean): boolean | null {
  if (code === null || (clustered && (code === 'MOVED' || code === 'ASK'))) return true;
  return code === REFUSED ? false : null;
}

function granted(user: TenantUser, day: string): string[][] {
  const own = usageKeys(user, day);
  return [
    ['PING'],
    ['HGETALL', own],
    ['HGET', own, 'field'],
    ['HMGET', own, 'field', 'other'],
    ['HLEN', own],
    ['EXISTS', own],
    ['TTL', own],
    ['TYPE', own],
    ['SELECT', String(user.database)],
    ...(user.clustered ? [['CLUSTER', 'SLOTS']] : []),
  ];
}

function denied(user: TenantUser, day: string): string[][] {
  const { tenant, keyPrefix, database, name } = user;
  const keys = new Keys(keyPrefix);
  const own = usageKeys(user, day);
  // Nobody's: what writes only where something is finds nothing there.
  const nothing = usageKeys(user, 'nothing');
  const neighbours = [
    `${tenant.slice(0, -1)}${tenant.endsWith('0') ? '1' : '0'}`,
    `${tenant.startsWith('0') ? '1' : '0'}${tenant.slice(1)}`,
    `${tenant}-2`,
    `${tenant}0`,
    `0${tenant}`,
    tenant.slice(0, -1) || 'other',
    `other-${tenant}`,
  ];
  const forbidden = [
    ...neighbours.map((neighbour) => keys.usage(neighbour, day)),
    keys.counters(tenant),
    keys.leases(tenant),
    keys.records(tenant, 'gateway'),
    keys.tenants(day),
    `${keyPrefix}:{!}:tenants`,
    `${keyPrefix}:${tenant}:usage:${day}`,
    `${keyPrefix}0:{${tenant}}:usage:${day}`,
    `0${own}`,
    `{${tenant}}`,
  ];
  return [
    ...forbidden.map((key) => ['HGETALL', key]),
    ...['TYPE', 'EXISTS', 'TTL', 'HLEN'].map((command) => [command, keys.counters(tenant)]),
    ['EXISTS', own, keys.usage(`${tenant}-2`, day)],
    // Reading that is not needed, and would tell of other keys.
    ['SCAN', '0', 'COUNT', '1'],
    ['RANDOMKEY'],
    ['DBSIZE'],
    ['DUMP', nothing],
    ['GET', nothing],
    ['MEMORY', 'USAGE', nothing],
    ['OBJECT', 'ENCODING', nothing],
    ['SORT', nothing, 'BY', '*', 'GET', '*'],
    ['SELECT', String(database + 1)],
    // Writing.
    ['SET', nothing, '', 'XX'],
    ['HDEL', nothing, 'field'],
    ['DEL', nothing],
    ['UNLINK', nothing],
    ['EXPIRE', nothing, '1'],
    ['PERSIST', nothing],
    ['GETDEL', nothing],
    ['LPUSHX', nothing, ''],
    ['RENAMENX', nothing, nothing],
    ['COPY', nothing, nothing],
    ['RESTORE', nothing, '0', 'not a dump'],
    // What would be refused for other reasons if it were let through.
    ['FLUSHDB', 'NOT-A-WORD'],
    ['FLUSHALL', 'NOT-A-WORD'],
    ['SHUTDOWN', 'NOT-A-WORD'],
    ['REPLICAOF', 'nowhere', 'not-a-port'],
    ['CONFIG', 'SET', 'not-a-setting', ''],
    ['ACL', 'SETUSER', name, 'not-a-rule'],
    ['CLUSTER', 'RESET', 'NOT-A-WORD'],
    // What would tell of the server and its other users.
    ['CONFIG', 'GET', 'maxmemory'],
    ['INFO'],
    ['ACL', 'LIST'],
    ['ACL', 'WHOAMI'],
    ['CLIENT', 'LIST'],
    ['CLIENT', 'KILL', 'ID', '0'],
    ['SLOWLOG', 'LEN'],
    ['LATENCY', 'LATEST'],
    ['MODULE', 'LIST'],
    ['CLUSTER', 'GETKEYSINSLOT', '0', '1'],
    // What would run others' commands, or hear them.
    ['MULTI'],
    ['EVAL', 'return 1', '0'],
    ['EVAL_RO', 'return 1', '0'],
    ['SCRIPT', 'EXISTS', '0'],
    ['FCALL', 'not-a-function', '0'],
    ['FUNCTION', 'LIST'],
    ['PUBLISH', nothing, ''],
    ['SPUBLISH', nothing, ''],
    ['PUBSUB', 'CHANNELS'],
    // Last, and in small letters: the client library has to know that nothing else can follow on this connection.
    ['ssubscribe', nothing],
    ['psubscribe', '*'],
    ['subscribe', nothing],
  ];
}
