import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import {
  apiError,
  chatAnswer,
  chatStream,
  Gate,
  pauseUntil,
  script,
  startUpstream,
  type Upstream,
} from '../support/upstream.ts';
import { seeded } from './trees.ts';

interface Fleet {
  gateway: TestGateway;
  clock: ManualClock;
  upstreams: Record<string, Upstream>;
  /** Who answered each of so many requests, one after the other. */
  ask(count: number, body?: object, headers?: Record<string, string>): Promise<string>;
}

/** A gateway in front of stand-ins `a`, `b` and so on, in its model `m`, with these weights. */
async function startFleet(
  t: TestContext,
  strategy: object,
  weights: readonly number[] = [1, 1],
  more: Record<string, unknown> = {},
): Promise<Fleet> {
  const clock = new ManualClock();
  const names = weights.map((_, index) => String.fromCharCode(97 + index));
  const upstreams: Record<string, Upstream> = {};
  for (const name of names) {
    const upstream = await startUpstream();
    t.after(() => upstream.close());
    upstreams[name] = upstream;
  }
  const gateway = await startGateway(
    {
      providers: Object.fromEntries(
        names.map((name) => [name, { adapter: 'vllm', base_url: upstreams[name]?.url }]),
      ),
      defaults: { retry: { attempts: 0 } },
      models: {
        m: {
          strategy: { mode: 'loadbalance', ...strategy },
          targets: names.map((provider, index) => ({ provider, model: 'x', weight: weights[index] })),
        },
      },
      ...more,
    },
    { clock, chance: seeded(5) },
  );
  t.after(() => gateway.close());
  return {
    gateway,
    clock,
    upstreams,
    async ask(count, body = {}, headers = {}) {
      let answered = '';
      for (let i = 0; i < count; i++) {
        const response = await gateway.chat({ ...body }, headers);
        assert.equal(response.status, 200, await response.clone().text());
        await response.arrayBuffer();
        answered += response.headers.get('x-spillway-target')?.[0] ?? '?';
      }
      return answered;
    },
  };
}

function count(text: string, letter: string): number {
  return text.split(letter).length - 1;
}

describe('by latency, through the gateway', () => {
  /** Lets each stand-in take its time, on the gateway's clock, for both kinds of answer. */
  function take(fleet: Fleet, times: Record<string, number>): void {
    for (const [name, upstream] of Object.entries(fleet.upstreams)) {
      upstream.reply(({ json }) => {
        fleet.clock.advance(times[name] ?? 0);
        return json()['stream'] === true ? chatStream() : chatAnswer();
      });
    }
  }

  for (const kind of ['streams', 'plain answers']) {
    it(`sends ${kind} to the target that has been faster, once it knows both`, async (t) => {
      const fleet = await startFleet(t, { by: 'latency' });
      take(fleet, { a: 2000, b: 100 });
      const body = { stream: kind === 'streams' };
      const first = await fleet.ask(2, body);
      assert.deepEqual([...first].sort(), ['a', 'b']);
      assert.equal(await fleet.ask(20, body), 'b'.repeat(20));
    });
  }

  it('knows nothing of plain answers from streams', async (t) => {
    const fleet = await startFleet(t, { by: 'latency' });
    take(fleet, { a: 2000, b: 100 });
    await fleet.ask(10, { stream: true });
    assert.match(await fleet.ask(10, { stream: false }), /a/);
  });

  it('leaves a target that becomes slow, and comes back to look', async (t) => {
    const fleet = await startFleet(t, { by: 'latency' });
    const times = { a: 100, b: 300 };
    take(fleet, times);
    await fleet.ask(10, { stream: true });
    times.a = 5000;
    const turning = await fleet.ask(12, { stream: true });
    assert.ok(count(turning, 'a') <= 3, turning);
    assert.match(turning, /b{9}$/);
    // Some 17 times as slow: worth a look after two minutes at the latest, and then it is the fast one again.
    times.a = 100;
    let later = '';
    for (let i = 0; i < 18; i++) {
      fleet.clock.advance(10_000);
      later += await fleet.ask(1, { stream: true });
    }
    assert.match(later, /^b{3,}a/);
    assert.match(await fleet.ask(10, { stream: true }), /a{9}$/);
  });

  it('counts failures: one that fails now and then is not the fast one', async (t) => {
    const fleet = await startFleet(t, { by: 'latency' });
    take(fleet, { a: 100, b: 200 });
    assert.match(await fleet.ask(6), /a{4}$/);
    const before = fleet.upstreams['a']?.requests.length ?? 0;
    fleet.upstreams['a']?.enqueue(apiError(500));
    assert.equal(await fleet.ask(6), 'b'.repeat(6));
    assert.equal(fleet.upstreams['a']?.requests.length, before + 1);
  });
});

describe('by least_busy, through the gateway', () => {
  it('fills targets up in proportion to their weights', async (t) => {
    const fleet = await startFleet(t, { by: 'least_busy' }, [2, 1]);
    const gate = new Gate();
    for (const upstream of Object.values(fleet.upstreams)) {
      upstream.reply(() => script(pauseUntil(gate), chatAnswer()));
    }
    const answers: Promise<Response>[] = [];
    for (let i = 1; i <= 9; i++) {
      answers.push(fleet.gateway.chat());
      await gate.reached(i);
    }
    assert.equal(fleet.upstreams['a']?.inFlight, 6);
    assert.equal(fleet.upstreams['b']?.inFlight, 3);
    gate.open();
    for (const answer of answers) await (await answer).arrayBuffer();
  });
});

describe('by cost, through the gateway', () => {
  it('goes by the prices, the prompt and what the answer may come to', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'prices-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const prices = join(folder, 'prices.json');
    const entries = [
      { models: ['x'], providers: ['a'], in: 1, out: 100 },
      { models: ['x'], providers: ['b'], in: 10, out: 10 },
    ];
    writeFileSync(prices, JSON.stringify({ prices: entries }));
    const fleet = await startFleet(t, { by: 'cost' }, [1, 1, 5], { prices });
    assert.equal(await fleet.ask(5, { max_tokens: 1000 }), 'bbbbb');
    const long = 'word '.repeat(20_000);
    assert.equal(await fleet.ask(5, { max_tokens: 1, messages: [{ role: 'user', content: long }] }), 'aaaaa');
  });

  it('leaves those without a price for last', async (t) => {
    const fleet = await startFleet(t, { by: 'cost' }, [1, 1], { prices: '' });
    assert.match(await fleet.ask(20), /a.*b|b.*a/);
  });
});

describe('by headroom, through the gateway', () => {
  const says = (remaining: number, limit = 100) => ({
    'x-ratelimit-limit-requests': String(limit),
    'x-ratelimit-remaining-requests': String(remaining),
    'x-ratelimit-reset-requests': '100s',
  });

  it('goes by what the headers of answers say is left, of streams too', async (t) => {
    const fleet = await startFleet(t, { by: 'headroom' });
    fleet.upstreams['a']?.reply(({ json }) =>
      json()['stream'] === true ? chatStream({ headers: says(0) }) : chatAnswer({ headers: says(0) }),
    );
    fleet.upstreams['b']?.reply(() => chatStream({ headers: says(50) }));
    const first = await fleet.ask(20, { stream: true });
    assert.equal(count(first, 'a'), 1);
    assert.match(first, /b{10}$/);
    // Half of it is there again; so is all of b's.
    fleet.clock.advance(50_000);
    assert.match(await fleet.ask(20, { stream: true }), /a/);
  });

  it('goes by the headers of refusals', async (t) => {
    const fleet = await startFleet(t, { by: 'headroom' });
    fleet.upstreams['a']?.reply(() => apiError(429, {}, { ...says(0), 'retry-after': '1' }));
    assert.equal(await fleet.ask(10), 'b'.repeat(10));
    assert.equal(fleet.upstreams['a']?.requests.length, 1);
    // The cooldown is over, but next to nothing is left.
    fleet.clock.advance(1100);
    assert.equal(await fleet.ask(10), 'b'.repeat(10));
    assert.ok((fleet.upstreams['a']?.requests.length ?? 0) <= 2);
  });

  it('takes one that refuses without a word for empty as long as it cools down, and for full afterwards', async (t) => {
    const fleet = await startFleet(t, { by: 'headroom' });
    fleet.upstreams['a']?.enqueue(apiError(429));
    assert.equal(await fleet.ask(10), 'b'.repeat(10));
    fleet.clock.advance(2000);
    assert.match(await fleet.ask(10), /a/);
  });
});

describe('sticky, through the gateway', () => {
  const VALUES = Array.from({ length: 24 }, (_, i) => `c${i}`);

  /** Who answers each of the values. */
  async function owners(
    fleet: Fleet,
    request: (value: string) => [body: object, headers?: Record<string, string>],
  ): Promise<string> {
    let all = '';
    for (const value of VALUES) {
      const [body, headers] = request(value);
      all += await fleet.ask(1, body, headers);
    }
    return all;
  }

  it('keeps a value of a header to one target, other values to others, in whichever gateway', async (t) => {
    const strategy = { sticky: 'x-conversation-id' };
    const fleet = await startFleet(t, strategy, [1, 1, 1]);
    const byHeader = (value: string): [object, Record<string, string>] => [
      {},
      { 'X-Conversation-Id': value },
    ];
    const first = await owners(fleet, byHeader);
    for (const letter of 'abc') assert.ok(count(first, letter) >= 3, first);
    assert.equal(await owners(fleet, byHeader), first);
    const other = await startFleet(t, { ...strategy, by: 'least_busy' }, [1, 1, 1]);
    assert.equal(await owners(other, byHeader), first);
  });

  it('goes by a field of the body, however deep', async (t) => {
    const nested = await startFleet(t, { sticky: 'metadata.user_id' }, [1, 1, 1]);
    const byUser = (value: string): [object] => [{ metadata: { user_id: value } }];
    const first = await owners(nested, byUser);
    for (const letter of 'abc') assert.ok(count(first, letter) >= 3, first);
    assert.equal(await owners(nested, byUser), first);
    const flat = await startFleet(t, { sticky: 'prompt_cache_key' }, [1, 1, 1]);
    assert.equal(await owners(flat, (value) => [{ prompt_cache_key: value }]), first);
  });

  it('leaves requests without a value to `by`', async (t) => {
    const fleet = await startFleet(t, { sticky: 'prompt_cache_key' });
    for (const body of [{}, { prompt_cache_key: '' }, { prompt_cache_key: null }, { prompt_cache_key: {} }]) {
      const answered = await fleet.ask(20, body);
      assert.ok(count(answered, 'a') > 3 && count(answered, 'b') > 3, answered);
    }
  });

  it('tells the conversations of tenants apart that call them by the same name', async (t) => {
    const tenants = ['acme', 'other'].map((id) => ({ id, keys: [{ id: 'ci', key: `sw-${id}-key` }] }));
    const fleet = await startFleet(t, { sticky: 'x-conversation-id' }, [1, 1, 1], { auth: 'keys', tenants });
    const of = (tenant: string) =>
      owners(fleet, (value) => [
        {},
        { 'x-conversation-id': value, authorization: `Bearer sw-${tenant}-key` },
      ]);
    const acme = await of('acme');
    assert.equal(await of('acme'), acme);
    assert.notEqual(await of('other'), acme);
  });

  it('hands over to the same other one while the first cannot serve, and comes back', async (t) => {
    const fleet = await startFleet(t, { sticky: 'prompt_cache_key' }, [1, 1, 1]);
    const body = { prompt_cache_key: 'one' };
    const [home = ''] = await fleet.ask(3, body);
    fleet.upstreams[home]?.enqueue(apiError(429, {}, { 'retry-after': '30' }));
    const away = await fleet.ask(5, body);
    assert.match(away, /^(.)\1{4}$/);
    assert.equal(count(away, home), 0);
    assert.equal(fleet.upstreams[home]?.requests.length, 4);
    fleet.clock.advance(30_001);
    assert.equal(await fleet.ask(3, body), home.repeat(3));
  });
});
