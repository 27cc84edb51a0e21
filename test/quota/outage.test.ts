import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { describeChange } from '../../src/quota/outage-mode.ts';
import { Recent } from '../../src/quota/outage-recent.ts';
import { StateUnavailable } from '../../src/state/unavailable.ts';
import { ENTRY, Gateway } from './outage-kit.ts';
import { storeSuite } from './store-suite.ts';
import { limit, SECOND } from './suite/kit.ts';

const REQUESTS = limit('requests/minute', 100);
const TOKENS = limit('tokens/minute', 100);
const DAILY = limit('tokens/day', 100);
const PLACES = limit('concurrent', 6);

describe('while Redis is there', () => {
  storeSuite('the store that outlives Redis', async () => {
    const gateway = new Gateway();
    return {
      store: gateway.store,
      setTime: (ms) => {
        gateway.clock.now = ms;
      },
      now: () => gateway.clock.now,
      another: null,
    };
  });

  it('asks once for each admission', async () => {
    const gateway = new Gateway();
    await gateway.take([REQUESTS, 1], [TOKENS, 5]);
    assert.equal(gateway.line.asked, 1);
  });

  it('passes on what is wrong with the store, unless it is away', async () => {
    for (const mode of ['local', 'allow', 'deny'] as const) {
      const gateway = new Gateway({ mode });
      const broken = new Error('broken');
      gateway.line.fault = broken;
      await assert.rejects(gateway.ask([[REQUESTS, 1]]), broken);
      await assert.rejects(gateway.store.standings('acme', [REQUESTS]), broken);
    }
  });
});

describe('on_outage: deny', () => {
  it('refuses what has quotas with the reason, and counts nothing', async () => {
    const gateway = new Gateway({ mode: 'deny' });
    gateway.line.cut();
    await assert.rejects(gateway.ask([[REQUESTS, 1]]), StateUnavailable);
    await assert.rejects(gateway.store.standings('acme', [REQUESTS]), StateUnavailable);
    gateway.line.mend();
    assert.deepEqual(await gateway.there(REQUESTS), [0, 0]);
    await gateway.take([REQUESTS, 1]);
  });

  it('lets in what has none, and writes its usage when Redis is back', async () => {
    const gateway = new Gateway({ mode: 'deny' });
    gateway.line.cut();
    gateway.settle(await gateway.take(), [], [ENTRY]);
    assert.deepEqual(await gateway.shared.ledger(['2026-11-22'], null), []);
    gateway.line.mend();
    const [row] = await gateway.shared.ledger(['2026-11-22'], null);
    assert.equal(row?.sums.cost, 5);
  });

  it('settles then what was let in before', async () => {
    const gateway = new Gateway({ mode: 'deny' });
    const ticket = await gateway.take([TOKENS, 60], [PLACES, 1]);
    gateway.line.cut();
    gateway.settle(ticket, [10, 0]);
    assert.deepEqual(await gateway.there(TOKENS), [0, 60]);
    gateway.line.mend();
    assert.deepEqual(await gateway.there(TOKENS), [10, 0]);
    assert.deepEqual(await gateway.there(PLACES), [0, 0]);
  });
});

describe('on_outage: allow', () => {
  it('lets in whatever is asked for, over a limit that was reached and over one that is never', async () => {
    const gateway = new Gateway({ mode: 'allow' });
    await gateway.take([TOKENS, 100]);
    await gateway.refused([TOKENS, 1]);
    gateway.line.cut();
    for (let i = 0; i < 3; i++) await gateway.take([TOKENS, 70], [limit('concurrent', 1), 1]);
    await gateway.take([limit('requests/day', 0), 1]);
    await gateway.take([TOKENS, 101]);
  });

  it('tells what was last seen and what was used since', async () => {
    const gateway = new Gateway({ mode: 'allow', alive: 3 });
    const before = await gateway.take([TOKENS, 40], [PLACES, 1]);
    gateway.line.cut();
    const [standing] = await gateway.store.standings('acme', [TOKENS]);
    assert.deepEqual(standing, { used: 40, reserved: 0, roomIn: 0, resetsIn: 63 * SECOND, share: 100 });
    gateway.settle(await gateway.take([TOKENS, 30], [PLACES, 1]), [20, 0]);
    await gateway.take([TOKENS, 7], [PLACES, 1]);
    assert.deepEqual(await gateway.taken(TOKENS), [60, 7]);
    assert.deepEqual(await gateway.taken(PLACES), [0, 2]);
    gateway.settle(before, [40, 0]);
    assert.deepEqual(await gateway.taken(PLACES), [0, 1]);
  });

  it('charges afterwards', async () => {
    const gateway = new Gateway({ mode: 'allow' });
    gateway.line.cut();
    const tickets = [];
    for (let i = 0; i < 5; i++) tickets.push(await gateway.take([REQUESTS, 1], [TOKENS, 90]));
    for (const ticket of tickets) gateway.settle(ticket, [0, 50]);
    gateway.line.mend();
    assert.deepEqual(await gateway.there(REQUESTS), [5, 0]);
    assert.deepEqual(await gateway.there(TOKENS), [250, 0]);
    await gateway.refused([TOKENS, 1]);
  });
});

describe('a change', () => {
  it('is told once, with the mode, however many requests there are', async () => {
    const gateway = new Gateway({ mode: 'allow' });
    gateway.line.cut();
    for (let i = 0; i < 3; i++) await gateway.take([REQUESTS, 1]);
    gateway.line.mend();
    await gateway.take([REQUESTS, 1]);
    assert.deepEqual(gateway.changes, [
      { node: 'redis', up: false, why: 'the test says so', mode: 'allow' },
      { node: 'redis', up: true, why: null, mode: 'allow' },
    ]);
  });

  it('is not told to a store that was closed', async () => {
    const gateway = new Gateway();
    await gateway.store.close();
    gateway.line.cut();
    assert.deepEqual(gateway.changes, []);
  });

  it('says in words what is done meanwhile', () => {
    const away = { node: '10.0.0.7:6379', up: false, why: 'no answer within 250 ms' };
    const said = (['local', 'deny', 'allow'] as const).map((mode) => describeChange({ ...away, mode }));
    assert.match(
      said[0] ?? '',
      /^10\.0\.0\.7:6379 is away \(no answer within 250 ms\); on_outage is local: .*own share/,
    );
    assert.match(said[1] ?? '', /on_outage is deny: .*503/);
    assert.match(said[2] ?? '', /on_outage is allow: .*without/);
    assert.match(describeChange({ ...away, why: null, mode: 'deny' }), /is away; on_outage/);
    const back = { node: 'redis', up: true, why: null };
    assert.match(describeChange({ ...back, mode: 'local' }), /^redis is back: .*written/);
    assert.doesNotMatch(describeChange({ ...back, mode: 'deny' }), /written/);
  });
});

describe('what is remembered', () => {
  it('is bounded, and forgets what was asked for longest ago', () => {
    const recent = new Recent<number>(10, () => false);
    for (let i = 0; i < 1000; i++) {
      recent.set(`${i}`, i);
      assert.equal(recent.get('0'), 0);
      assert.ok(recent.size <= 20);
    }
    for (let i = 991; i < 1000; i++) assert.equal(recent.get(`${i}`), i);
    assert.equal(recent.get('500'), undefined);
  });

  it('keeps what must stay besides', () => {
    const recent = new Recent<number>(10, (value) => value < 50);
    for (let i = 0; i < 1000; i++) recent.set(`${i}`, i);
    for (let i = 991; i < 1000; i++) assert.equal(recent.get(`${i}`), i);
    for (let i = 0; i < 50; i++) assert.equal(recent.get(`${i}`), i);
    assert.ok(recent.size <= 70, `${recent.size}`);
  });

  it('keeps the tenants that have requests under way, whoever else comes', async () => {
    const gateway = new Gateway();
    const before = await gateway.take([PLACES, 1]);
    gateway.line.cut('bob');
    const during = await gateway.ask([[PLACES, 1]], 'bob');
    for (let i = 0; i < 12_000; i++) await gateway.ask([[TOKENS, 1]], `t${i}`);
    gateway.line.cut();
    assert.deepEqual(await gateway.taken(PLACES), [0, 1]);
    assert.deepEqual(await gateway.taken(PLACES, 'bob'), [0, 1]);
    gateway.settle(before);
    assert.ok(during.kind === 'admitted');
    gateway.settle(during.ticket);
    assert.deepEqual(await gateway.taken(PLACES), [0, 0]);
    assert.deepEqual(await gateway.taken(PLACES, 'bob'), [0, 0]);
    assert.deepEqual(await gateway.taken(TOKENS, 't0'), [0, 0]);
    assert.deepEqual(await gateway.taken(TOKENS, 't11999'), [1, 0]);
  });

  it('keeps the limits that requests under way have places of, however many others there are', async () => {
    const gateway = new Gateway();
    const before = await gateway.take([PLACES, 1], [DAILY, 30]);
    for (let i = 0; i < 3000; i++) await gateway.take([limit('tokens/day', 100, [`m${i}`]), 1]);
    gateway.line.cut();
    assert.deepEqual(await gateway.taken(PLACES), [0, 1]);
    assert.deepEqual(await gateway.taken(DAILY), [0, 0]);
    gateway.settle(before, [0, 0]);
    assert.deepEqual(await gateway.taken(PLACES), [0, 0]);
  });
});
