/** Several gateways as their users run them, each a process of its own, on one Redis; seen from the outside alone. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorIn } from '../server/helpers.ts';
import {
  type GatewayProcess,
  type LogLine,
  onFreePorts,
  startProcess,
  temporaryDirectory,
} from '../support/process.ts';
import { type CleansUp, type RedisServer, until } from '../support/redis.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

/** Tokens that the prompt of a request is estimated at, and that the stand-in reports of it. */
export const PROMPT = 9;
/** Tokens of the answer that the stand-in reports. */
export const ANSWER = 12;
/** Dollars for a million tokens. */
export const PRICE = { in: 3, out: 11 };
/** What an answer of the stand-in costs, in dollars. */
export const COST = (PROMPT * PRICE.in + ANSWER * PRICE.out) / 1e6;

export const ADMIN_TOKEN = 'the-token-of-the-operator-0123456789';

/** For the tests whose matter is not that Redis is slow: more than any hiccup of the machine. */
export const PATIENT = { command_timeout: '5s' };

/**
 * All that the user of Redis may have to be allowed to do that the gateway connects as: these commands, on keys that begin with the
 * prefix. `SELECT` is for databases other than 0; `CLIENT SETNAME` may be left out.
 */
export const COMMANDS = [
  'client|setname',
  'select',
  'eval',
  'evalsha',
  'time',
  'get',
  'set',
  'del',
  'exists',
  'pexpire',
  'pttl',
  'hget',
  'hmget',
  'hgetall',
  'hset',
  'hdel',
  'hincrby',
  'hrandfield',
  'sadd',
  'smembers',
  'zadd',
  'zcard',
  'zscore',
  'zrangebyscore',
  'zrevrange',
  'zrem',
  'zremrangebyrank',
  'zremrangebyscore',
  'zpopmin',
] as const;

/** And on a cluster, where there are no databases. */
export const CLUSTER_COMMANDS = ['cluster|slots', 'asking'] as const;

/** Rules, but for the password, of the user that sentinels are asked as. */
export const SENTINEL_RULES = '&+switch-master +sentinel|master +subscribe +client|setname';

/** Rules of a user who may do these, and nothing else. */
export function rules(password: string, commands: readonly string[], prefix = 'spillway'): string {
  return ['on', `>${password}`, `~${prefix}:*`, ...commands.map((one) => `+${one}`)].join(' ');
}

export interface Seen {
  status: number;
  headers: Headers;
  text: string;
  /** From the request to the last byte of the answer. Milliseconds. */
  ms: number;
}

export interface Quota {
  of: string;
  per: string | null;
  limit: number;
  scope: string;
  used: number;
  reserved: number;
  remaining: number;
}

export interface Sums {
  tenant: string;
  key: string;
  requests: number;
  tries: number;
  input_tokens: number;
  output_tokens: number;
  cost_usd: number;
}

export interface FleetOptions {
  /** How many gateways. */
  count: number;
  /** `state` of the configuration; what `PATIENT` says unless it is said here. */
  state: object;
  tenants?: readonly object[];
  /** Further sections of the configuration. */
  config?: object;
  /** Of each, by its number. */
  env?: (number: number) => Record<string, string>;
  /** Does not wait until they listen. */
  early?: boolean;
}

/** The text of a key, by its tenant and its id. */
export function keyOf(tenant: string, id = 'k'): string {
  return `sw-the-key-${id}-of-${tenant}`;
}

/** A tenant for the configuration; the key `k` unless said, each with its own quotas. */
export function tenant(
  id: string,
  quotas: readonly object[],
  keys: Record<string, readonly object[]> = { k: [] },
) {
  return {
    id,
    quotas,
    keys: Object.entries(keys).map(([key, own]) => ({ id: key, key: keyOf(id, key), quotas: own })),
  };
}

/** One gateway of a fleet. */
export class Member {
  readonly process: GatewayProcess;
  origin = '';
  admin = '';

  constructor(process: GatewayProcess) {
    this.process = process;
  }

  async listening(): Promise<void> {
    const { listen, admin } = await this.process.listening();
    this.origin = listen;
    this.admin = admin;
  }

  /** Asks with the key `k` of the tenant; a key with blanks in it, or one that begins with `sw-`, is taken as it is. */
  async chat(of: string, body: object = {}, signal?: AbortSignal): Promise<Seen> {
    const began = performance.now();
    const response = await this.open(of, body, signal);
    const text = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      text,
      ms: performance.now() - began,
    };
  }

  /** The same, as soon as the answer has begun. */
  open(of: string, body: object = {}, signal?: AbortSignal): Promise<Response> {
    return fetch(`${this.origin}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${asKey(of)}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hello' }], ...body }),
      ...(signal === undefined ? {} : { signal }),
    });
  }

  /** What `/v1/usage` says. */
  async usage(of: string): Promise<Quota[]> {
    const response = await fetch(`${this.origin}/v1/usage`, {
      headers: { authorization: `Bearer ${asKey(of)}` },
    });
    const text = await response.text();
    assert.equal(response.status, 200, text);
    return (JSON.parse(text) as { quotas: Quota[] }).quotas;
  }

  /** What the ledger says of a tenant, by key. */
  async ledger(tenant: string): Promise<Sums[]> {
    // A test may begin before midnight.
    const from = new Date(Date.now() - 86_400_000).toISOString().slice(0, 10);
    const path = `/admin/usage?from=${from}&by=tenant,key&tenant=${tenant}`;
    let answer = await this.operator('GET', path);
    // On a busy machine one slow command makes the store away for a moment.
    await until(async () => {
      if (answer.status === 503) answer = await this.operator('GET', path);
      return answer.status !== 503;
    }, 'the ledger to be read');
    assert.equal(answer.status, 200, answer.text);
    return (JSON.parse(answer.text) as { rows: Sums[] }).rows;
  }

  /** Of all keys together. */
  async sums(
    tenant: string,
  ): Promise<Pick<Sums, 'requests' | 'input_tokens' | 'output_tokens' | 'cost_usd'>> {
    const sums = { requests: 0, input_tokens: 0, output_tokens: 0, cost_usd: 0 };
    for (const row of await this.ledger(tenant)) {
      for (const name of ['requests', 'input_tokens', 'output_tokens', 'cost_usd'] as const) {
        sums[name] += row[name];
      }
    }
    return { ...sums, cost_usd: Math.round(sums.cost_usd * 1e9) / 1e9 };
  }

  async operator(method: string, path: string, body?: object): Promise<{ status: number; text: string }> {
    const response = await fetch(`${this.admin}${path}`, {
      method,
      headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, text: await response.text() };
  }

  async ready(): Promise<number> {
    return (await this.operator('GET', '/readyz')).status;
  }

  async metrics(): Promise<string> {
    return (await this.operator('GET', '/metrics')).text;
  }

  async metric(series: string): Promise<number | null> {
    const line = (await this.metrics()).split('\n').find((one) => one.startsWith(`${series} `));
    return line === undefined ? null : Number(line.slice(series.length + 1));
  }

  async storeUp(): Promise<boolean> {
    return (await this.metric('spillway_state_store_up')) === 1;
  }

  /** Lines of the log, in order. */
  said(message: RegExp, from = 0): LogLine[] {
    return this.process.lines.slice(from).filter(({ msg }) => message.test(msg));
  }

  /** Ends it as a crash does. */
  async kill(): Promise<void> {
    this.process.child.kill('SIGKILL');
    await this.process.ended;
  }

  /** Ends it as an operator does, and says how. */
  async stop(): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    this.process.child.kill('SIGTERM');
    return await this.process.ended;
  }
}

export interface Fleet {
  members: readonly Member[];
  upstream: Upstream;
  /** The configuration of all of them, as it stands in their files. */
  config: object;
  /** One more. */
  join(): Promise<Member>;
}

/** Starts the gateways; they end with the test. Their model `m` is the target `a/up`, without retries. */
export async function startFleet(t: CleansUp, options: FleetOptions): Promise<Fleet> {
  const upstream = await startUpstream();
  t.after(() => upstream.close());
  const prices = join(temporaryDirectory(t), 'prices.yaml');
  writeFileSync(prices, JSON.stringify({ prices: [{ models: ['up'], ...PRICE }] }));
  const config = onFreePorts({
    admin: { listen: '127.0.0.1:0', token: ADMIN_TOKEN },
    auth: 'keys',
    state: { ...PATIENT, ...options.state },
    prices,
    server: { heartbeat: '0' },
    defaults: { retry: { attempts: 0 }, breaker: { consecutive_failures: 100_000, min_requests: 100_000 } },
    providers: { a: { adapter: 'vllm', base_url: upstream.url, connections: 2000 } },
    models: { m: { provider: 'a', model: 'up' } },
    tenants: options.tenants ?? [],
    ...options.config,
  });
  let number = 0;
  const begin = () => new Member(startProcess(t, config, { env: options.env?.(number++) ?? {} }));
  const members = Array.from({ length: options.count }, begin);
  if (options.early !== true) await Promise.all(members.map((member) => member.listening()));
  return {
    members,
    upstream,
    config,
    join: async () => {
      const member = begin();
      await member.listening();
      return member;
    },
  };
}

function asKey(of: string): string {
  return of.startsWith('sw-') ? of : keyOf(of);
}

/** So many requests at the same time, spread over the gateways. */
export function atOnce(
  members: readonly Member[],
  count: number,
  of: string,
  body: object = {},
): Promise<Seen>[] {
  return Array.from({ length: count }, (_, i) => (members[i % members.length] as Member).chat(of, body));
}

/** Resolves to those that come first, when there are so many. */
export function firstOf<T>(all: readonly Promise<T>[], count: number): Promise<T[]> {
  return new Promise((resolve, reject) => {
    const come: T[] = [];
    for (const one of all) {
      one.then((value) => {
        if (come.push(value) === count) resolve(come.slice());
      }, reject);
    }
  });
}

/** How many there are of each status. */
export function tally(seen: readonly Pick<Seen, 'status'>[]): Record<number, number> {
  const counts: Record<number, number> = {};
  for (const { status } of seen) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

export type Code = 'rate_limit_exceeded' | 'insufficient_quota';

/** Fails unless it is a 429 of a quota as the SDKs know it, that names this quota. */
export function refused({ status, text, headers }: Seen, code: Code, quota: RegExp): void {
  assert.equal(status, 429, text);
  assert.match(headers.get('content-type') ?? '', /^application\/json/);
  const error = errorIn(text);
  assert.equal(error.code, code);
  assert.match(error.message, quota);
  assert.ok(headers.get('x-request-id'));
  assert.equal(headers.get('x-spillway-cost'), null);
}

/** The standing of a tenant's only quota, or of the one that counts this. */
export function standing(quotas: readonly Quota[], of?: string, scope = 'tenant') {
  const found = quotas.filter((quota) => of === undefined || (quota.of === of && quota.scope === scope));
  assert.equal(found.length, 1, JSON.stringify(quotas));
  const { used, reserved } = found[0] as Quota;
  return { used, reserved };
}

/** Waits until nothing is reserved for a tenant any more, then says what is used of its quotas, by what they count. */
export async function settled(member: Member, of: string): Promise<Record<string, number>> {
  const quotas = await until(async () => {
    const all = await member.usage(of);
    return all.every(({ reserved }) => reserved === 0) ? all : null;
  }, `all of ${of} to be settled`);
  return Object.fromEntries(quotas.map(({ of: what, used }) => [what, used]));
}

/** Who holds reservations of a tenant: each name begins with a gateway's. */
export async function holders(
  redis: Pick<RedisServer, 'call'>,
  tenant: string,
  prefix = 'spillway',
): Promise<string[]> {
  return (await redis.call('ZRANGE', `${prefix}:{${tenant}}:g`, 0, -1)) as string[];
}

/** Of the gateways that Redis heard of in the last seconds, those that have no connection to it any more. */
export async function dead(redis: Pick<RedisServer, 'call'>, prefix = 'spillway'): Promise<string[]> {
  const known = (await redis.call('ZRANGE', `${prefix}:{!}:gateways`, 0, -1)) as string[];
  const clients = String(await redis.call('CLIENT', 'LIST'));
  return known.filter((gateway) => !clients.includes(`name=spillway-${gateway} `));
}

/** Has the leases of these gateways be over, as they are 30 s after their death; says when they would have been. */
export async function endLeases(
  redis: Pick<RedisServer, 'call'>,
  tenant: string,
  gateways: readonly string[],
  prefix = 'spillway',
): Promise<number[]> {
  const key = `${prefix}:{${tenant}}:g`;
  const ends: number[] = [];
  for (const holder of await holders(redis, tenant, prefix)) {
    if (!gateways.some((gateway) => holder.startsWith(gateway))) continue;
    ends.push(Number(await redis.call('ZSCORE', key, holder)));
    await redis.call('ZADD', key, 1, holder);
  }
  return ends;
}
