/** What is left when all clients have gone: nothing but the counts. */
import assert from 'node:assert/strict';
import { ADMIN_TOKEN, keyOf, type Quota } from '../gateways/kit.ts';
import { type RedisServer, until } from '../support/redis.ts';
import type { Line } from './checks.ts';
import { PROVIDERS, TENANTS, type World } from './world.ts';

/** Waits until nothing is under way any more. */
export async function quiet({ gateways, redis, upstreams }: World): Promise<void> {
  for (const gateway of gateways) {
    await until(async () => (await gateway.metric('spillway_in_flight')) === 0, 'spillway_in_flight to be 0');
    await until(
      async () => (await rowsOf(gateway.admin)).every(({ in_flight }) => in_flight === 0),
      'nothing to be in flight at any upstream',
    );
  }
  await until(() => upstreams.every(({ inFlight }) => inFlight === 0), 'the upstreams to be let go of');
  for (const account of [...TENANTS, ...PROVIDERS.map((name) => `@${name}`)]) {
    await until(async () => (await held(redis, account)).length === 0, `nothing to be held of ${account}`);
  }
}

/** What is reserved of an account: by a provider's limits, too, which no listener tells of. */
async function held(redis: RedisServer, account: string): Promise<string[]> {
  const found: string[] = [];
  for (const key of (await redis.call('KEYS', `spillway:{${account}}:r:*`)) as string[]) {
    found.push(...((await redis.call('HKEYS', key)) as string[]).filter((field) => !field.startsWith('#')));
  }
  return found;
}

/** What is counted of the tenants is what the log says of their requests. */
export async function checkBooks({ gateways }: World, lines: readonly Line[]): Promise<void> {
  for (const tenant of TENANTS) {
    const own = lines.filter((line) => line.tenant === tenant);
    const sums = { input: 0, output: 0, cost: 0, tries: 0 };
    for (const { tokens, cost_usd: cost, tries } of own) {
      sums.input += tokens?.input ?? 0;
      sums.output += tokens?.output ?? 0;
      sums.cost += Math.round((cost ?? 0) * 1e9);
      sums.tries += tries.length;
    }
    // Each gateway says so only of what it has written itself.
    const ledgers = [await ledger(gateways[0].admin, tenant), await ledger(gateways[1].admin, tenant)];
    const booked = await ledger(gateways[0].admin, tenant);
    assert.deepEqual(ledgers[1], booked);
    const { requests, ...rest } = booked;
    assert.deepEqual(rest, sums, tenant);
    const answered = own.filter(({ tokens, cache }) => tokens !== null || cache === 'hit').length;
    assert.ok(answered <= requests && requests <= own.length, `${answered} <= ${requests} <= ${own.length}`);

    for (const gateway of gateways) {
      const quotas = await quotasOf(gateway.origin, tenant);
      for (const { of, reserved, used, per } of quotas) {
        assert.equal(reserved, 0, `${tenant} has ${of} reserved`);
        if (of === 'concurrent') assert.equal(used, 0, `${tenant} has some under way`);
        if (per !== 'month') continue;
        if (of === 'requests') assert.equal(used, requests);
        if (of === 'tokens') assert.equal(used, sums.input + sums.output);
        if (of === 'usd') assert.equal(Math.round(used * 1e9), sums.cost);
      }
    }
  }
}

async function rowsOf(admin: string): Promise<{ in_flight: number }[]> {
  const { upstreams } = (await asOperator(`${admin}/admin/upstreams`)) as {
    upstreams: { in_flight: number }[];
  };
  return upstreams;
}

async function ledger(admin: string, tenant: string) {
  // It may have begun before midnight.
  const from = new Date(Date.now() - 86_400_000).toISOString().slice(0, 10);
  const { rows } = (await asOperator(`${admin}/admin/usage?from=${from}&by=tenant&tenant=${tenant}`)) as {
    rows: {
      requests: number;
      tries: number;
      input_tokens: number;
      output_tokens: number;
      cost_usd: number;
    }[];
  };
  const [row] = rows;
  return {
    requests: row?.requests ?? 0,
    input: row?.input_tokens ?? 0,
    output: row?.output_tokens ?? 0,
    cost: Math.round((row?.cost_usd ?? 0) * 1e9),
    tries: row?.tries ?? 0,
  };
}

async function quotasOf(origin: string, tenant: string): Promise<Quota[]> {
  const response = await fetch(`${origin}/v1/usage`, {
    headers: { authorization: `Bearer ${keyOf(tenant)}` },
  });
  return ((await response.json()) as { quotas: Quota[] }).quotas;
}

async function asOperator(url: string): Promise<unknown> {
  const response = await fetch(url, { headers: { authorization: `Bearer ${ADMIN_TOKEN}` } });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return JSON.parse(text);
}
