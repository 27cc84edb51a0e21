/** What can only happen to claims in Redis: leases that are lost, data that is lost, and a Redis that is away. */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { SCRIPTS } from '../../src/replay/claim-scripts.ts';
import type { Claimed } from '../../src/replay/claims.ts';
import { Seal } from '../../src/replay/seal.ts';
import { StateUnavailable } from '../../src/state/unavailable.ts';
import { COMMANDS, rules } from '../gateways/kit.ts';
import { HICCUP } from '../support/hiccup.ts';
import { type CleansUp, startRedis, until } from '../support/redis.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import {
  answer,
  ask,
  DAY,
  LEASE,
  openSeat,
  type RedisSeat,
  type SeatOptions,
  take,
  told,
  want,
} from './claims-kit.ts';

const redis = await startRedis({ after });

let prefixes = 0;

/** Two gateways on one Redis, whose clocks do not move but by the test's hand. */
async function pair(t: CleansUp, options: SeatOptions = {}) {
  let now = Date.UTC(2026, 10, 22);
  const shared = { keyPrefix: `claims${prefixes++}`, time: () => now, ...options };
  const [a, b] = [await openSeat(t, redis.url, shared), await openSeat(t, redis.url, shared)];
  return {
    a,
    b,
    prefix: shared.keyPrefix,
    /** For Redis alone: who does nothing meanwhile loses its leases. */
    pass: (ms: number) => {
      now += ms;
    },
  };
}

/** All that Redis has under a prefix, key by key. */
async function stored(prefix: string): Promise<{ key: string; fields: string[] }[]> {
  const keys = (await redis.call('KEYS', `${prefix}:*:i:*`)) as string[];
  return await Promise.all(
    keys.map(async (key) => ({ key, fields: (await redis.call('HGETALL', key)) as string[] })),
  );
}

describe('a claim whose lease is over', () => {
  it('that another gateway has taken over is not touched by what the first one says too late', async (t) => {
    const { a, b, pass } = await pair(t);
    const late = await take(a.claims);
    pass(LEASE);
    const taken = await take(b.claims);
    a.clock.advance(LEASE / 3);
    late.finish(answer('too late'), DAY);
    await a.settled();
    assert.equal(await told(a.claims), 'running', 'nor does the first one answer by itself');
    taken.finish(answer('in time'), DAY);
    await b.settled();
    assert.equal(await told(a.claims), 'done: in time');

    const early = await take(a.claims, 'freed too late');
    pass(LEASE);
    await take(b.claims, 'freed too late');
    early.free();
    await a.settled();
    assert.equal(await told(a.claims, 'freed too late'), 'running');
  });

  it('does not undo the answer of the one who took it over', async (t) => {
    const { a, b, pass } = await pair(t);
    const late = await take(a.claims);
    pass(LEASE);
    (await take(b.claims)).finish(answer('in time'), DAY);
    await b.settled();
    a.clock.advance(LEASE);
    await a.settled();
    assert.equal(await told(b.claims), 'done: in time', 'not by being renewed');
    late.finish(answer('too late'), DAY);
    await a.settled();
    assert.equal(await told(b.claims), 'done: in time');
    assert.equal(await told(a.claims), 'done: in time');
  });

  it('is not answered by what another one said whose time is over as well', async (t) => {
    const { a, b, pass } = await pair(t);
    const slow = await take(a.claims);
    pass(LEASE);
    (await take(b.claims)).finish(answer('short-lived'), 1000);
    await b.settled();
    pass(1000);
    a.clock.advance(LEASE / 3);
    await a.settled();
    assert.equal(await told(b.claims), 'running');
    slow.finish(answer('slow'), DAY);
    await a.settled();
    assert.equal(await told(b.claims), 'done: slow');
  });

  it('is still that of a gateway that was only slow, as long as nobody else asked', async (t) => {
    const { a, b, pass } = await pair(t);
    const slow = await take(a.claims);
    pass(5 * LEASE);
    a.clock.advance(LEASE / 3);
    await a.settled();
    assert.equal(await told(b.claims), 'running');
    pass(5 * LEASE);
    slow.finish(answer('slow'), DAY);
    await a.settled();
    assert.equal(await told(b.claims), 'done: slow');
  });
});

describe('words that come out of order', () => {
  it('undo nothing: an answer stays what it is, and no longer than it should', async (t) => {
    const { a, prefix } = await pair(t);
    const key = `${prefix}:{acme}:i:x`;
    const run = (script: keyof typeof SCRIPTS, ...args: (string | number)[]) =>
      a.client.run(SCRIPTS[script], [key], args);
    assert.deepEqual(await run('claim', 1000, 'me', 'mark', LEASE, ''), ['claimed']);
    assert.equal(await run('finish', 1000, 'me', 'mark', 5000, 'the answer'), 1);
    assert.equal(await run('renew', 1500, 'me', 'mark', LEASE), 0);
    await run('free', 1500, 'me');
    assert.equal(await run('finish', 2000, 'me', 'mark', 5000, 'the same again'), 1);
    assert.equal(await run('finish', 2000, 'another', 'mark', 5000, 'another'), 0);
    const done = ['done', 'the answer', 'me'];
    assert.deepEqual(await run('claim', 5999, 'you', 'mark', LEASE, ''), done);
    assert.deepEqual(await run('claim', 6000, 'you', 'mark', LEASE, ''), ['claimed']);
    await run('free', 6000, 'me');
    assert.deepEqual(await run('claim', 6001, 'me', 'mark', LEASE, ''), ['running', LEASE - 1]);
  });
});

describe('those who ask at the same time in one gateway', () => {
  it('share one question, each with its own answer', async (t) => {
    const { a } = await pair(t);
    let runs = 0;
    const counted: SeatOptions['client'] = {
      run: (script, keys, args) => {
        runs++;
        return a.client.run(script, keys, args);
      },
      isUp: (key) => a.client.isUp(key),
    };
    const { claims } = await openSeat(t, redis.url, { keyPrefix: 'shared', client: counted });
    const { claims: other } = await openSeat(t, redis.url, { keyPrefix: 'shared' });
    const fifty = await Promise.all(Array.from({ length: 50 }, () => ask(claims, 'here')));
    assert.equal(fifty.filter(({ kind }) => kind === 'claimed').length, 1);
    assert.equal(fifty.filter((one) => one.kind === 'running' && one.over !== null).length, 49);
    assert.equal(runs, 1);
    await take(other, 'there');
    const bodies = await Promise.all(
      ['body', 'another', 'body', 'another'].map((body) => told(claims, 'there', body)),
    );
    assert.deepEqual(bodies, ['running', 'other_body', 'running', 'other_body']);
    assert.ok(runs <= 4, `${runs}`);
  });
});

describe('a Redis that has lost its data', () => {
  it('has the claims again that are still running, and their answers', async (t) => {
    const { a, b, prefix } = await pair(t);
    const [one, two] = [await take(a.claims, 'one'), await take(a.claims, 'two')];
    for (const { key } of await stored(prefix)) await redis.call('DEL', key);
    one.finish(answer('one'), DAY);
    a.clock.advance(LEASE / 3);
    await a.settled();
    assert.equal(await told(b.claims, 'one'), 'done: one');
    assert.equal(await told(b.claims, 'two'), 'running');
    two.finish(answer('two'), DAY);
    await a.settled();
    assert.equal(await told(b.claims, 'two'), 'done: two');
  });

  it('leaves nobody waiting for what it had', async (t) => {
    const { a, b, prefix } = await pair(t);
    (await take(a.claims)).finish(answer('one'), DAY);
    await a.settled();
    for (const { key } of await stored(prefix)) await redis.call('DEL', key);
    assert.equal(await told(b.claims), 'claimed');
  });
});

describe('what stands in Redis', () => {
  it('tells neither the key of a client, nor what it asked, nor what it was answered', async (t) => {
    const { a, prefix } = await pair(t);
    const secrets = ['order-4711', 'a question of mine', 'an answer of yours'] as const;
    (await take(a.claims, secrets[0], secrets[1])).finish(answer(secrets[2]), DAY);
    await take(a.claims, `${secrets[0]}-running`, secrets[1]);
    await a.settled();
    const all = await stored(prefix);
    assert.equal(all.length, 2);
    const hashes = secrets.map((secret) => new Seal(null).mark('name', 'acme', secret));
    for (const secret of [...secrets, ...hashes]) {
      for (const encoding of ['utf8', 'base64', 'hex'] as const) {
        const written = Buffer.from(secret).toString(encoding);
        assert.ok(!JSON.stringify(all).includes(written), `${encoding} of ${secret}`);
      }
    }
  });

  it('tells without an encryption key the answers alone', async (t) => {
    const { a, prefix } = await pair(t, { seal: new Seal(null) });
    (await take(a.claims, 'order-4711', 'a question')).finish(answer('an answer'), DAY);
    await a.settled();
    const text = JSON.stringify(await stored(prefix));
    assert.ok(!text.includes('order-4711') && !text.includes('a question'));
    assert.ok(text.includes('an answer'));
  });

  it('does not show that two tenants, or two keys, ask for the same', async (t) => {
    const { a, prefix } = await pair(t);
    await take(a.claims, 'one');
    await take(a.claims, 'two');
    await take(a.claims, 'one', 'body', 'globex');
    const all = await stored(prefix);
    const marks = all.map(({ fields }) => fields[fields.indexOf('mark') + 1]);
    assert.equal(new Set(marks).size, 3);
    const names = all.map(({ key }) => key.split(':').at(-1));
    assert.equal(new Set(names).size, 3);
  });

  it('goes by itself: claims when their lease is over, answers at the end of their life', async (t) => {
    const { a, prefix } = await pair(t);
    await take(a.claims, 'running');
    const [running] = await stored(prefix);
    const left = Number(await redis.call('PTTL', running?.key ?? ''));
    assert.ok(left > 0 && left <= LEASE, `${left}`);
    await redis.call('DEL', running?.key ?? '');
    (await take(a.claims, 'done')).finish(answer('one'), 12_345.5);
    await a.settled();
    const [done] = await stored(prefix);
    const life = Number(await redis.call('PTTL', done?.key ?? ''));
    assert.ok(life > LEASE && life <= 12_346, `${life}`);
  });

  it('is nothing at all of a claim that was freed', async (t) => {
    const { a, prefix } = await pair(t);
    (await take(a.claims)).free();
    await a.settled();
    assert.deepEqual(await stored(prefix), []);
  });

  it('is as good as not there where it cannot be opened', async (t) => {
    const { a, b, prefix } = await pair(t);
    (await take(a.claims)).finish(answer('one'), DAY);
    await a.settled();
    const [{ key } = { key: '' }] = await stored(prefix);
    await redis.call('HSET', key, 'answer', 'sAAAA');
    await redis.call('HDEL', key, 'owner');
    await take(b.claims, 'key', 'another body').then((claim) => claim.free());
    await b.settled();
    (await take(a.claims)).finish(answer('one'), DAY);
    await a.settled();
    await redis.call('HSET', key, 'answer', 'sAAAA');
    const again = await take(b.claims);
    assert.equal(await told(a.claims), 'running');
    again.finish(answer('two'), DAY);
    await b.settled();
    assert.equal(await told(a.claims), 'done: two');
  });

  it('needs no more commands than those that the gateway is said to need', async (t) => {
    const guarded = await startRedis(t, { users: { default: 'off', gate: rules('secret', COMMANDS) } });
    const { claims, settled, faults } = await openSeat(t, guarded.urlFor('gate', 'secret'), { mode: 'deny' });
    (await take(claims)).finish(answer('one'), DAY);
    (await take(claims, 'freed')).free();
    await settled();
    assert.equal(await told(claims), 'done: one');
    assert.equal(await told(claims, 'freed'), 'claimed');
    assert.deepEqual(faults, []);
  });
});

/** A gateway whose Redis can be made to be silent, and another one who reaches it. */
async function cuttable(t: CleansUp, options: SeatOptions = {}) {
  const proxy = await startTcpProxy(t, redis.port);
  const shared = { keyPrefix: `claims${prefixes++}`, commandTimeout: 150, ...options };
  const a = await openSeat(t, `redis://127.0.0.1:${proxy.port}`, shared);
  const b = await openSeat(t, redis.url, { ...shared, commandTimeout: 2000 });
  return {
    a,
    b,
    async cut() {
      proxy.toServer.swallow = true;
      // The first one to ask finds out.
      await a.client.command('EXISTS', 'x').catch(() => {});
      await until(() => !a.client.allUp, 'Redis to be away');
    },
    silence: () => {
      proxy.toServer.swallow = true;
    },
    async mend() {
      proxy.toServer.swallow = false;
      proxy.cut();
      await until(() => a.client.allUp, 'Redis to be back');
    },
  };
}

/** Lets a gateway keep its leases and send again what was not taken. */
async function keep(seat: RedisSeat): Promise<void> {
  seat.clock.advance(LEASE / 3);
  await seat.settled();
}

describe('while Redis is away', () => {
  it('claims are kept in this process: one runs, the others wait, and its answer is given again', async (t) => {
    const { a, cut } = await cuttable(t);
    await cut();
    const claim = await take(a.claims);
    const waiting = (await ask(a.claims)) as Claimed & { kind: 'running' };
    assert.equal(await told(a.claims, 'key', 'other'), 'other_body');
    claim.finish(answer('one'), DAY);
    assert.deepEqual(await waiting.over, answer('one'));
    assert.equal(await told(a.claims), 'done: one');
    assert.equal(await told(a.claims, 'key', 'other'), 'other_body');
    (await take(a.claims, 'freed')).free();
    assert.equal(await told(a.claims, 'freed'), 'claimed');
  });

  it('nobody waits for a silent one longer than a command may take', async (t) => {
    const { a, silence } = await cuttable(t);
    silence();
    const from = performance.now();
    await take(a.claims);
    assert.ok(performance.now() - from < 1500 + HICCUP);
  });

  it('what ends meanwhile is brought there when it is back, and is there for all', async (t) => {
    const { a, b, cut, mend } = await cuttable(t);
    const before = await take(a.claims, 'begun before');
    await cut();
    before.finish(answer('one'), DAY);
    (await take(a.claims, 'begun meanwhile')).finish(answer('two'), DAY);
    await keep(a);
    await mend();
    await keep(a);
    assert.equal(await told(b.claims, 'begun before'), 'done: one');
    assert.equal(await told(b.claims, 'begun meanwhile'), 'done: two');
    assert.equal(await told(a.claims, 'begun before'), 'done: one');
  });

  it('what runs is claimed when it is back', async (t) => {
    const { a, b, cut, mend } = await cuttable(t);
    await cut();
    const claim = await take(a.claims);
    await mend();
    await keep(a);
    assert.equal(await told(b.claims), 'running');
    claim.finish(answer('one'), DAY);
    await a.settled();
    assert.equal(await told(b.claims), 'done: one');
  });

  it('another gateway that was first keeps what it has, and counts for this one, too', async (t) => {
    const { a, b, cut, mend } = await cuttable(t);
    await cut();
    (await take(a.claims)).finish(answer('cut off'), DAY);
    assert.equal(await told(a.claims), 'done: cut off');
    (await take(b.claims)).finish(answer('first'), DAY);
    await b.settled();
    await mend();
    await keep(a);
    assert.equal(await told(a.claims), 'done: first');
    assert.equal(await told(b.claims), 'done: first');
  });

  it('what is known to run elsewhere is left to that one for as long as its lease lasts', async (t) => {
    const { a, b, cut } = await cuttable(t);
    await take(b.claims);
    const running = (await ask(a.claims)) as Claimed & { kind: 'running' };
    assert.equal(running.over, null);
    const left = running.until - a.clock.now();
    assert.ok(left > 0 && left <= LEASE);
    await cut();
    const wanted = want(a.claims);
    const again = await a.claims.claim(wanted, running.until);
    assert.deepEqual(again, { kind: 'running', over: null, until: running.until });
    a.clock.advance(left);
    assert.equal((await a.claims.claim(wanted, running.until)).kind, 'claimed');
  });

  it('answers that wait for it take no more memory than they may; those that are lost are known to nobody', async (t) => {
    const { a, b, cut, mend } = await cuttable(t, { maxBytes: 10_000 });
    await cut();
    for (let i = 0; i < 20; i++) (await take(a.claims, `key ${i}`)).finish(answer('x'.repeat(1000)), DAY);
    await mend();
    await keep(a);
    const words = await Promise.all(Array.from({ length: 20 }, (_, i) => told(b.claims, `key ${i}`)));
    const kept = words.filter((word) => word.startsWith('done'));
    assert.ok(kept.length >= 2 && kept.length <= 10, `${kept.length} were kept`);
    assert.ok(words.at(-1)?.startsWith('done'));
    assert.equal(words[0], 'claimed');
  });

  it('an answer whose life ends meanwhile is not brought back to life', async (t) => {
    const { a, b, cut, mend } = await cuttable(t);
    await cut();
    (await take(a.claims)).finish(answer('one'), 1000);
    await mend();
    a.clock.advance(LEASE / 3);
    await a.settled();
    assert.equal(await told(b.claims), 'claimed');
  });

  it('`deny` gives nothing to anybody; what runs already is brought there all the same', async (t) => {
    const { a, b, cut, mend } = await cuttable(t, { mode: 'deny' });
    const claim = await take(a.claims);
    await cut();
    await assert.rejects(ask(a.claims, 'another'), StateUnavailable);
    assert.equal(await told(a.claims), 'running');
    claim.finish(answer('one'), DAY);
    assert.equal(await told(a.claims), 'done: one');
    await mend();
    await keep(a);
    assert.equal(await told(b.claims), 'done: one');
    assert.equal(await told(a.claims, 'another'), 'claimed');
  });

  it('is asked nothing in vain', async (t) => {
    const { a, cut } = await cuttable(t);
    let runs = 0;
    const counted: SeatOptions['client'] = {
      run: (script, keys, args) => {
        runs++;
        return a.client.run(script, keys, args);
      },
      isUp: (key) => a.client.isUp(key),
    };
    const seat = await openSeat(t, redis.url, { client: counted });
    await cut();
    for (let i = 0; i < 10; i++) (await take(seat.claims, `key ${i}`)).finish(answer('one'), DAY);
    await take(seat.claims, 'running');
    const before = runs;
    for (let i = 0; i < 10; i++) await keep(seat);
    assert.equal(runs, before);
  });

  it('is closed without waiting', async (t) => {
    const { a, cut } = await cuttable(t);
    await take(a.claims);
    (await take(a.claims, 'another')).finish(answer('one'), DAY);
    await cut();
    const from = performance.now();
    await a.claims.close();
    assert.ok(performance.now() - from < 1500 + HICCUP);
    assert.equal(a.clock.pending, 0);
  });
});

describe('a Redis that answers with an error', () => {
  it('is told of, and is as good as away', async (t) => {
    for (const mode of ['local', 'deny'] as const) {
      const { a, prefix } = await pair(t, { mode });
      const { name } = want(a.claims);
      await redis.call('SET', `${prefix}:{acme}:i:${name}`, 'something else');
      if (mode === 'deny') await assert.rejects(ask(a.claims), StateUnavailable);
      else {
        (await take(a.claims)).finish(answer('one'), DAY);
        assert.equal(await told(a.claims), 'done: one');
      }
      await a.settled();
      assert.ok(a.faults.length > 0);
      assert.match(String(a.faults[0]), /WRONGTYPE/);
    }
  });
});

describe('a gateway that has nothing under way', () => {
  it('has no timer', async (t) => {
    const { a } = await pair(t);
    const claim = await take(a.claims);
    assert.equal(a.clock.pending, 1);
    claim.finish(answer('one'), DAY);
    (await take(a.claims, 'another')).free();
    await a.settled();
    a.clock.advance(LEASE / 3);
    assert.equal(a.clock.pending, 0);
  });

  it('brings home what Redis has not got when it is closed', async (t) => {
    const { a, b, cut, mend } = await cuttable(t);
    await cut();
    (await take(a.claims)).finish(answer('one'), DAY);
    await mend();
    await a.claims.close();
    assert.equal(await told(b.claims), 'done: one');
  });
});
