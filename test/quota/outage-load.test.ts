/** A real Redis that goes away under load, with several gateways, and in a cluster. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { systemClock } from '../../src/core/clock.ts';
import { dayOf } from '../../src/quota/ledger.ts';
import type { Ticket } from '../../src/quota/store.ts';
import { openPresence, type Presence } from '../../src/state/presence.ts';
import { StateUnavailable } from '../../src/state/unavailable.ts';
import { startRedis, until } from '../support/redis.ts';
import { startRedisCluster } from '../support/redis-cluster.ts';
import { ENTRY } from './outage-kit.ts';
import { answered, type Demands, Gateway, IN_TIME, PLACES, REQUESTS, TIMEOUT, TOKENS } from './outage-rig.ts';
import { DAY, limit } from './suite/kit.ts';

describe('500 requests at the moment of freezing', { concurrency: 3 }, () => {
  for (const mode of ['local', 'deny', 'allow'] as const) {
    it(`are answered in time, and Redis has counted those that were let in, with on_outage: ${mode}`, async (t) => {
      const server = await startRedis(t);
      const gateways = await Promise.all([
        Gateway.open(t, 'g1', server.url, { mode, alive: () => 2 }),
        Gateway.open(t, 'g2', server.url, { mode, alive: () => 2 }),
      ]);
      const tokens = limit('tokens/month', 40_000);
      const seen = { here: 0, there: 0, refused: 0, unavailable: 0 };
      let answers = 0;
      const letIn: (() => void)[] = [];
      const ask = async (i: number) => {
        const gateway = gateways[i % 2] as Gateway;
        const demands: Demands = [
          [REQUESTS, 1],
          [tokens, 100],
          [PLACES, 1],
        ];
        const answer = await answered(() => gateway.ask(demands), IN_TIME);
        answers += 1;
        if (answers === 50) server.freeze();
        if (answer instanceof StateUnavailable) seen.unavailable += 1;
        else if (answer.kind === 'refused') seen.refused += 1;
        else {
          seen[answer.ticket.held ? 'there' : 'here'] += 1;
          const settle = () =>
            gateway.store.settle({ ticket: answer.ticket, used: [0, 7, 0], ledger: [ENTRY] });
          // Some end at once, so that settlements are on their way as well.
          if (i % 3 === 0) settle();
          else letIn.push(settle);
        }
      };
      const asked: Promise<void>[] = [];
      for (let i = 0; i < 500; i++) {
        asked.push(ask(i));
        // So that when it freezes some are answered, some are on their way, and some are yet to come.
        if (i % 10 === 9) await new Promise((resolve) => setImmediate(resolve));
      }
      await Promise.all(asked);
      t.diagnostic(JSON.stringify(seen));
      assert.ok(seen.there >= 50);
      if (mode === 'deny') assert.ok(seen.unavailable > 0 && seen.here === 0);
      else assert.ok(seen.here > 0 && seen.unavailable === 0);

      // It works off what it was sent: what comes soon enough to be carried out is undone, what comes too late is not.
      if (mode === 'allow') await new Promise((resolve) => setTimeout(resolve, 2 * TIMEOUT));
      server.thaw();
      for (const settle of letIn) settle();
      for (const gateway of gateways) {
        await gateway.isBack();
        await gateway.allWritten();
      }
      const passed = seen.here + seen.there;
      const limits = [REQUESTS, tokens, PLACES];
      const sums: [number, number][] = [
        [passed, 0],
        [7 * passed, 0],
        [0, 0],
      ];
      await gateways[0].reaches(sums, limits);
      const days = [-1, 0].map((day) => dayOf(Date.now() + day * DAY));
      const rows = await gateways[0].store.ledger(days, 'acme');
      assert.equal(
        rows.reduce((sum, { sums }) => sum + sums.requests, 0),
        passed,
      );
      // And it stays so: nothing comes late.
      await new Promise((resolve) => setTimeout(resolve, 2 * TIMEOUT));
      assert.deepEqual(await gateways[1].there(limits), sums);
      for (const { faults } of gateways) assert.deepEqual(faults, []);
    });
  }
});

describe('three gateways', () => {
  it('share what is left among those that have said that they are there', async (t) => {
    const server = await startRedis(t);
    const presences: Presence[] = [];
    const gateways: Gateway[] = [];
    for (const name of ['g1', 'g2', 'g3']) {
      const alive = () => presence.alive();
      const gateway = await Gateway.open(t, name, server.url, { mode: 'local', alive });
      const { state: client } = gateway;
      const presence = openPresence({ client, keyPrefix: 'spillway', gateway: name, clock: systemClock });
      t.after(() => presence.close());
      await presence.started;
      gateways.push(gateway);
      presences.push(presence);
    }
    // They hear of those that came after them when they next say that they are there, which is also when Redis is back.
    server.freeze();
    for (const gateway of gateways) await gateway.ask([[limit('requests/day', 1), 1]], 'other');
    server.thaw();
    await until(() => presences.every((presence) => presence.alive() === 3), 'three gateways');

    const requests = limit('requests/month', 90);
    for (let i = 0; i < 30; i++) await gateways[0]?.take([requests, 1]);
    for (const gateway of gateways) await gateway.take([requests, 0]);
    server.freeze();
    const passed = await Promise.all(gateways.map((gateway) => gateway.countUntilRefused(requests)));
    assert.deepEqual(passed, [20, 20, 20]);
    server.thaw();
  });

  it('write back what each let in, and the limit holds again for all of them', async (t) => {
    const server = await startRedis(t);
    const gateways = await Promise.all(
      ['g1', 'g2', 'g3'].map((name) => Gateway.open(t, name, server.url, { mode: 'local', alive: () => 3 })),
    );
    const [requests, tokens] = [limit('requests/month', 90), limit('tokens/month', 9000)];
    server.freeze();
    const tickets = await Promise.all(
      gateways.flatMap((gateway) =>
        Array.from({ length: 40 }, async () => {
          const verdict = await gateway.ask([
            [requests, 1],
            [tokens, 10],
          ]);
          return verdict.kind === 'admitted' ? ([gateway, verdict.ticket] as const) : null;
        }),
      ),
    );
    const letIn = tickets.filter((one) => one !== null);
    assert.equal(letIn.length, 90);
    for (const [gateway, ticket] of letIn) gateway.settle(ticket, [0, 3]);
    server.thaw();
    for (const gateway of gateways) {
      await gateway.isBack();
      await gateway.allWritten();
    }
    await gateways[0]?.reaches(
      [
        [90, 0],
        [270, 0],
      ],
      [requests, tokens],
    );
    for (const gateway of gateways) assert.equal((await gateway.ask([[requests, 1]])).kind, 'refused');
    // A second outage begins with what was seen now.
    server.freeze();
    for (const gateway of gateways) assert.equal((await gateway.ask([[requests, 1]])).kind, 'refused');
    server.thaw();
  });
});

it('a gateway that starts while Redis is away lets in its share, and finds Redis when it comes', async (t) => {
  const server = await startRedis(t);
  await server.stop();
  const gateway = await Gateway.open(t, 'g1', server.url, { mode: 'local', alive: () => 2 });
  const verdict = await answered(() => gateway.ask([[limit('requests/month', 2), 1]]), IN_TIME);
  assert.ok(!(verdict instanceof StateUnavailable) && verdict.kind === 'admitted');
  assert.ok(Math.abs(verdict.ticket.at - Date.now()) < 5_000);
  assert.equal((await gateway.ask([[limit('requests/month', 2), 1]])).kind, 'refused');
  gateway.settle(verdict.ticket);
  await server.start();
  await gateway.isBack();
  await gateway.allWritten();
  assert.deepEqual(await gateway.there([limit('requests/month', 2)]), [[1, 0]]);
});

it('in a cluster, a node that is away is an outage for the tenants that it keeps and for no others', async (t) => {
  const cluster = await startRedisCluster(t, {
    masters: 3,
    replicas: 0,
    config: { 'cluster-require-full-coverage': 'no' },
  });
  const urls = cluster.urls;
  const gateway = await Gateway.open(t, 'g1', { kind: 'cluster', urls }, { mode: 'local', alive: () => 2 });
  const failing = await cluster.owner('{acme}');
  let other = '';
  for (let i = 0; other === ''; i++) if ((await cluster.owner(`{t${i}}`)) !== failing) other = `t${i}`;
  const demands = [[limit('requests/month', 2), 1]] as const;
  failing.freeze();
  const verdict = await answered(() => gateway.ask(demands), IN_TIME);
  assert.ok(!(verdict instanceof StateUnavailable) && verdict.kind === 'admitted' && !verdict.ticket.held);
  assert.equal((await gateway.ask(demands)).kind, 'refused');
  for (let i = 0; i < 2; i++) {
    const there = await gateway.ask(demands, other);
    assert.ok(there.kind === 'admitted' && there.ticket.held);
  }
  gateway.settle(verdict.ticket);
  failing.thaw();
  await gateway.isBack();
  await gateway.allWritten();
  assert.deepEqual(await gateway.there([limit('requests/month', 2)]), [[1, 0]]);
  assert.deepEqual(await gateway.there([limit('requests/month', 2)], other), [[2, 0]]);
});

it('a master that dies is an outage until its replica leads, which then hears what was let in', async (t) => {
  const cluster = await startRedisCluster(t, { masters: 3, replicas: 1 });
  const gateway = await Gateway.open(
    t,
    'g1',
    { kind: 'cluster', urls: cluster.urls },
    { mode: 'local', alive: () => 2 },
  );
  const demands: Demands = [
    [REQUESTS, 1],
    [TOKENS, 100],
    [PLACES, 1],
  ];
  const before = await gateway.take(...demands);
  const master = await cluster.owner('{acme}');
  await master.call('WAIT', 1, 5_000);
  const replaced = cluster.killMaster(master);
  const during: Ticket[] = [];
  await until(async () => {
    const verdict = await answered(() => gateway.ask(demands), IN_TIME);
    assert.ok(!(verdict instanceof StateUnavailable) && verdict.kind === 'admitted');
    during.push(verdict.ticket);
    return during.some(({ held }) => !held) && verdict.ticket.held;
  }, 'the replica');
  await replaced;
  gateway.settle(before, [0, 7, 0]);
  for (const ticket of during) gateway.settle(ticket, [0, 7, 0]);
  await gateway.isBack();
  await gateway.allWritten();
  const passed = during.length + 1;
  t.diagnostic(`${during.filter(({ held }) => !held).length} of ${passed} were let in without it`);
  await gateway.reaches(
    [
      [passed, 0],
      [7 * passed, 0],
      [0, 0],
    ],
    [REQUESTS, TOKENS, PLACES],
  );
});
