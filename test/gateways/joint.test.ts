/** Three gateways race for what one Redis gives out. */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { startRedis } from '../support/redis.ts';
import { chatAnswer, chatStream, Gate, pauseUntil } from '../support/upstream.ts';
import {
  ANSWER,
  atOnce,
  COST,
  firstOf,
  keyOf,
  type Member,
  PRICE,
  PROMPT,
  refused,
  settled,
  standing,
  startFleet,
  tally,
  tenant,
} from './kit.ts';

/** What a request reserves that names this maximum. */
const MOST = 50;
const RESERVED = PROMPT + MOST;
const DOLLARS = (PROMPT * PRICE.in + MOST * PRICE.out) / 1e6;

const redis = await startRedis({ after });
const { members, upstream } = await startFleet(
  { after },
  {
    count: 3,
    state: { redis: redis.url },
    tenants: [
      tenant('counted', [{ limit: 100, of: 'requests', per: 'minute' }]),
      tenant('metered', [{ limit: 100 * RESERVED, of: 'tokens', per: 'hour' }]),
      tenant('billed', [{ limit: 100 * DOLLARS, of: 'usd', per: 'month' }]),
      tenant('seated', [{ limit: 50, of: 'concurrent' }]),
      tenant('shared', [{ limit: 100, of: 'requests', per: 'hour' }], {
        k: [],
        narrow: [{ limit: 30, of: 'requests', per: 'hour' }],
      }),
      tenant('all', [
        { limit: 500, of: 'requests', per: 'hour' },
        { limit: 80 * RESERVED, of: 'tokens', per: 'hour' },
        { limit: 1, of: 'usd', per: 'hour' },
        { limit: 60, of: 'concurrent' },
      ]),
    ],
  },
);

/** What all of them say is used and reserved; it has to be the same. */
async function standings(of: string, what?: string, scope?: string) {
  const all = await Promise.all(members.map(async (member) => standing(await member.usage(of), what, scope)));
  for (const one of all) assert.deepEqual(one, all[0]);
  return all[0];
}

/** Answers that wait at a gate. */
function hold(): Gate {
  const gate = new Gate();
  upstream.reply((request) => {
    const answer = request.json()['stream'] === true ? chatStream() : chatAnswer();
    return [pauseUntil(gate), answer];
  });
  return gate;
}

/** What all of them say of the ledger, when each has written there what it owes. */
async function sums(of: string) {
  for (const member of members) await member.sums(of);
  const all = await Promise.all(members.map((member) => member.sums(of)));
  for (const one of all) assert.deepEqual(one, all[0]);
  return all[0];
}

function answered(count: number) {
  return {
    requests: count,
    input_tokens: count * PROMPT,
    output_tokens: count * ANSWER,
    cost_usd: dollars(count * COST),
  };
}

function dollars(amount: number): number {
  return Math.round(amount * 1e9) / 1e9;
}

describe('600 requests at the same time on three gateways', () => {
  it('of which 100 a minute may pass: 100 pass', async () => {
    const before = upstream.requests.length;
    const seen = await Promise.all(atOnce(members, 600, 'counted'));
    assert.deepEqual(tally(seen), { 200: 100, 429: 500 });
    for (const one of seen.filter(({ status }) => status === 429)) {
      refused(one, 'rate_limit_exceeded', /100 requests per minute/);
      assert.ok(Number(one.headers.get('retry-after-ms')) <= 63_000);
      assert.equal(one.headers.get('x-ratelimit-remaining-requests'), '0');
    }
    // Each number that is left was told to one of them.
    const left = seen
      .filter(({ status }) => status === 200)
      .map(({ headers }) => Number(headers.get('x-ratelimit-remaining-requests')));
    assert.deepEqual(
      left.sort((a, b) => a - b),
      Array.from({ length: 100 }, (_, i) => i),
    );
    assert.equal(upstream.requests.length - before, 100);
    assert.deepEqual(await standings('counted'), { used: 100, reserved: 0 });
    assert.deepEqual(await sums('counted'), answered(100));
  });

  it('that reserve tokens by their max_tokens: as many pass as fit, and what they took is settled', async () => {
    const LIMIT = 100 * RESERVED;
    let count = 0;
    for (const room of [100, Math.floor((LIMIT - 100 * (PROMPT + ANSWER)) / RESERVED)]) {
      const gate = hold();
      const asked = atOnce(members, 600, 'metered', { max_tokens: MOST });
      for (const one of await firstOf(asked, 600 - room)) {
        refused(one, 'rate_limit_exceeded', /5900 tokens per hour/);
      }
      const used = count * (PROMPT + ANSWER);
      assert.deepEqual(await standings('metered'), { used, reserved: room * RESERVED });
      gate.open();
      assert.deepEqual(tally(await Promise.all(asked)), { 200: room, 429: 600 - room });
      count += room;
      for (const member of members) {
        assert.deepEqual(await settled(member, 'metered'), { tokens: count * (PROMPT + ANSWER) });
      }
    }
    assert.deepEqual(await sums('metered'), answered(count));
  });

  it('that reserve money: as many pass as there is money for', async () => {
    const gate = hold();
    const asked = atOnce(members, 600, 'billed', { max_tokens: MOST, stream: true });
    for (const one of await firstOf(asked, 500)) refused(one, 'insufficient_quota', /US dollars per month/);
    assert.deepEqual(await standings('billed'), { used: 0, reserved: dollars(100 * DOLLARS) });
    gate.open();
    assert.deepEqual(tally(await Promise.all(asked)), { 200: 100, 429: 500 });
    for (const member of members) {
      assert.deepEqual(await settled(member, 'billed'), { usd: dollars(100 * COST) });
    }
    assert.deepEqual(await sums('billed'), answered(100));
  });

  it('for 50 places: 50 streams are held open, and each place is given to another when it ends', async () => {
    const gate = hold();
    const asked = atOnce(members, 600, 'seated', { stream: true });
    for (const one of await firstOf(asked, 550)) refused(one, 'rate_limit_exceeded', /50 .*at a time/);
    assert.deepEqual(await standings('seated'), { used: 0, reserved: 50 });
    const more = await Promise.all(atOnce(members, 3, 'seated'));
    assert.deepEqual(tally(more), { 429: 3 });
    gate.open();
    assert.deepEqual(tally(await Promise.all(asked)), { 200: 50, 429: 550 });
    await settled(members[0] as Member, 'seated');
    assert.deepEqual(await standings('seated'), { used: 0, reserved: 0 });
    assert.equal((await (members[1] as Member).chat('seated')).status, 200);
  });

  it('of a key with a quota of its own, and of one that has only the tenant’s', async () => {
    const narrow = keyOf('shared', 'narrow');
    const first = await Promise.all(atOnce(members, 300, narrow));
    assert.deepEqual(tally(first), { 200: 30, 429: 270 });
    for (const one of first.filter(({ status }) => status === 429))
      refused(one, 'rate_limit_exceeded', /key/);
    const [wide, none] = await Promise.all([
      Promise.all(atOnce(members, 200, 'shared')),
      Promise.all(atOnce(members, 100, narrow)),
    ]);
    assert.deepEqual([tally(wide), tally(none)], [{ 200: 70, 429: 130 }, { 429: 100 }]);
    assert.deepEqual(await standings('shared'), { used: 100, reserved: 0 });
    assert.deepEqual(await standings(narrow, 'requests', 'key'), { used: 30, reserved: 0 });
    assert.deepEqual(await sums('shared'), answered(100));
    const byKey = (await (members[0] as Member).ledger('shared')).map(({ key, requests }) => [key, requests]);
    assert.deepEqual(byKey, [
      ['k', 70],
      ['narrow', 30],
    ]);
  });

  it('with all kinds of quotas: the tightest lets in what it has room for, and nobody else is charged for the refused', async () => {
    const gate = hold();
    const asked = atOnce(members, 600, 'all', { stream: true, max_tokens: MOST });
    await firstOf(asked, 540);
    const expected = {
      requests: [60, 0],
      tokens: [0, 60 * RESERVED],
      usd: [0, dollars(60 * DOLLARS)],
      concurrent: [0, 60],
    };
    for (const [of, [used, reserved]] of Object.entries(expected)) {
      assert.deepEqual(await standings('all', of), { used, reserved }, of);
    }
    gate.open();
    assert.deepEqual(tally(await Promise.all(asked)), { 200: 60, 429: 540 });
    for (const member of members) {
      assert.deepEqual(await settled(member, 'all'), {
        requests: 60,
        tokens: 60 * (PROMPT + ANSWER),
        usd: dollars(60 * COST),
        concurrent: 0,
      });
    }
    assert.deepEqual(await sums('all'), answered(60));
  });
});

describe('what three gateways leave in Redis', () => {
  it('goes by itself: every key expires', async () => {
    const keys = (await redis.call('KEYS', '*')) as string[];
    assert.ok(keys.length > 10);
    const lasting = [];
    for (const key of keys) if (Number(await redis.call('PTTL', key)) < 0) lasting.push(key);
    assert.deepEqual(lasting, []);
  });
});
