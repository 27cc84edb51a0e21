/** Outages of a real Redis, of every kind, in every mode, and what is left in it afterwards. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Ticket } from '../../src/quota/store.ts';
import { StateUnavailable } from '../../src/state/unavailable.ts';
import { freePort, type RedisServer, startRedis } from '../support/redis.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import {
  AT_ONCE,
  answered,
  type Demands,
  Gateway,
  IN_TIME,
  PLACES,
  REQUESTS,
  TIMEOUT,
  TOKENS,
  USD,
} from './outage-rig.ts';

interface Trouble {
  name: string;
  /** What Redis knew is lost. */
  loses?: true;
  begin(server: RedisServer, proxy: TcpProxy): Promise<void> | void;
  end(server: RedisServer, proxy: TcpProxy): Promise<void> | void;
}

const TROUBLES: readonly Trouble[] = [
  {
    name: 'stopped, and started with what it knew',
    begin: (server) => server.stop(),
    end: (server) => server.start(),
  },
  {
    name: 'restarted empty',
    loses: true,
    begin: async (server) => {
      // What is not on disk is lost.
      await server.call('FLUSHALL');
      await server.kill();
    },
    end: (server) => server.start(),
  },
  { name: 'frozen', begin: (server) => server.freeze(), end: (server) => server.thaw() },
  {
    name: 'slower than the timeout',
    begin: (_, proxy) => {
      proxy.toClient.delay = 2 * TIMEOUT;
    },
    end: (_, proxy) => {
      proxy.toClient.delay = 0;
    },
  },
  {
    name: 'cut off',
    begin: (_, proxy) => {
      proxy.refuses = true;
      proxy.cut();
    },
    end: (_, proxy) => {
      proxy.refuses = false;
    },
  },
  {
    name: 'out of memory',
    begin: async (server) => {
      await server.call('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
      await server.call('CONFIG', 'SET', 'maxmemory', 1);
    },
    end: async (server) => {
      await server.call('CONFIG', 'SET', 'maxmemory', 0);
    },
  },
  {
    name: 'a read-only replica',
    begin: async (server) => {
      await server.call('REPLICAOF', '127.0.0.1', await freePort());
    },
    end: async (server) => {
      await server.call('REPLICAOF', 'NO', 'ONE');
    },
  },
];

for (const { name, loses = false, begin, end } of TROUBLES) {
  describe(`Redis is ${name}`, { concurrency: 1 }, () => {
    for (const mode of ['local', 'deny', 'allow'] as const) {
      it(`with on_outage: ${mode}`, async (t) => {
        const server = await startRedis(t, { config: { appendonly: 'yes', appendfsync: 'always' } });
        const proxy = await startTcpProxy(t, server.port);
        const gateway = await Gateway.open(t, 'g1', proxy.url, { mode, alive: () => 2 });

        // Before: a request that is over, and one that goes on for longer than the outage begins.
        gateway.settle(await gateway.take([REQUESTS, 1], [TOKENS, 500], [USD, 50]), [0, 400, 40]);
        const goesOn = await gateway.take([REQUESTS, 1], [TOKENS, 500], [USD, 50], [PLACES, 1]);
        await gateway.allWritten();
        const before = loses ? { requests: 0, tokens: 0, usd: 0 } : { requests: 2, tokens: 400, usd: 40 };

        await begin(server, proxy);
        const demands: Demands = [
          [REQUESTS, 1],
          [TOKENS, 49_000],
          [USD, 300],
          [PLACES, 1],
        ];
        const first = await answered(() => gateway.ask(demands), IN_TIME);
        const second = await answered(() => gateway.ask(demands), AT_ONCE);
        const view = await answered(() => gateway.store.standings('acme', [TOKENS]), AT_ONCE);
        const none = await answered(() => gateway.ask([]), AT_ONCE);
        assert.ok(!(none instanceof StateUnavailable) && none.kind === 'admitted');
        assert.equal(await gateway.store.flush(null), true);
        gateway.settle(goesOn, [0, 100, 10, 0]);
        const flushed = await answered(() => gateway.store.flush(null), AT_ONCE);
        assert.equal(flushed, false);
        await assert.rejects(gateway.store.ledger(['2026-11-22'], null), StateUnavailable);

        const letIn: Ticket[] = [];
        if (mode === 'deny') {
          for (const answer of [first, second, view]) assert.ok(answer instanceof StateUnavailable);
        } else {
          // Half of 100,000 is the share, of which 450 of the 900 last seen are taken: there is room for one, not for two.
          assert.ok(!(first instanceof StateUnavailable) && first.kind === 'admitted');
          assert.equal(first.ticket.held, false);
          letIn.push(first.ticket);
          assert.ok(!(second instanceof StateUnavailable));
          assert.equal(second.kind, mode === 'local' ? 'refused' : 'admitted');
          if (second.kind === 'admitted') letIn.push(second.ticket);
          assert.ok(!(view instanceof StateUnavailable));
          assert.equal(view[0]?.share, mode === 'local' ? 50_000 : 100_000);
        }
        const [goesOnHere, ...overSoon] = letIn;
        for (const ticket of overSoon) gateway.settle(ticket, [0, 7000, 70, 0]);

        await end(server, proxy);
        await gateway.isBack();
        const afterwards = await gateway.take([REQUESTS, 1], [TOKENS, 10], [USD, 1], [PLACES, 1]);
        assert.equal(afterwards.held, true);
        gateway.settle(afterwards, [0, 10, 1, 0]);
        if (goesOnHere !== undefined) gateway.settle(goesOnHere, [0, 7000, 70, 0]);
        await gateway.allWritten();
        const count = letIn.length;
        await gateway.reaches([
          [before.requests + count + 1, 0],
          [before.tokens + 100 + 7000 * count + 10, 0],
          [before.usd + 10 + 70 * count + 1, 0],
          [0, 0],
        ]);
        assert.deepEqual(
          gateway.changes.map(({ node, up, mode }) => [node, up, mode]),
          [
            ['redis', false, mode],
            ['redis', true, mode],
          ],
        );
        assert.notEqual(gateway.changes[0]?.why, null);
        assert.deepEqual(gateway.faults, []);
      });
    }
  });
}
