import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Claimed } from '../../src/replay/claims.ts';
import { answer, ask, DAY, LEASE, type OpenRig, take, told } from './claims-kit.ts';

/** The contract of `Claims`, for whatever keeps them. `open` is called for each test, and cleans up by `t.after`. */
export function claimsSuite(name: string, open: OpenRig): void {
  describe(name, () => {
    it('gives a claim to the first who asks, and to nobody else while that runs', async (t) => {
      const rig = await open(t);
      const [a, b] = [await rig.seat(), await rig.seat()];
      const claim = await take(a.claims);
      assert.equal(await told(a.claims), 'running');
      assert.equal(await told(b.claims), 'running');
      await rig.pass(10 * LEASE);
      assert.equal(await told(b.claims), 'running', 'it lives as long as its gateway');
      claim.finish(answer('one'), DAY);
      await rig.pass(0);
      assert.equal(await told(a.claims), 'done: one');
      assert.equal(await told(b.claims), 'done: one');
    });

    it('gives one of fifty who ask at the same time, wherever', async (t) => {
      const rig = await open(t);
      const seats = [await rig.seat(), await rig.seat(), await rig.seat(), await rig.seat()];
      for (let round = 0; round < 5; round++) {
        const all = await Promise.all(
          Array.from({ length: 50 }, (_, i) => told(seats[i % 4]?.claims as never, `race ${round}`)),
        );
        assert.deepEqual(
          [all.filter((one) => one === 'claimed').length, all.filter((one) => one === 'running').length],
          [1, 49],
        );
      }
    });

    it('gives the answer as it was, for as long as it is to be kept', async (t) => {
      const rig = await open(t);
      const [a, b] = [await rig.seat(), await rig.seat()];
      const whole = {
        status: 422,
        headers: { 'content-type': 'text/event-stream', 'x-spillway-cost': '0.002' },
        streamed: true,
        target: null,
        body: 'data: {"é":"\u{1f600}"}\n\n: ping\n\n',
      };
      (await take(a.claims)).finish(whole, DAY);
      await rig.pass(DAY - 1);
      const again = await ask(b.claims);
      assert.deepEqual(again, { kind: 'done', answer: whole });
      await rig.pass(1);
      assert.equal(await told(b.claims), 'claimed');
    });

    it('frees what has failed for the next one at once, with whatever body', async (t) => {
      const rig = await open(t);
      const [a, b] = [await rig.seat(), await rig.seat()];
      (await take(a.claims)).free();
      await rig.pass(0);
      const second = await take(b.claims, 'key', 'another body');
      assert.equal(await told(a.claims, 'key', 'another body'), 'running');
      second.free();
      await rig.pass(0);
      await take(a.claims);
    });

    it('says of another body that it is one, whether the first runs or has run', async (t) => {
      const rig = await open(t);
      const [a, b] = [await rig.seat(), await rig.seat()];
      const claim = await take(a.claims);
      assert.equal(await told(a.claims, 'key', 'other'), 'other_body');
      assert.equal(await told(b.claims, 'key', 'other'), 'other_body');
      claim.finish(answer('one'), DAY);
      await rig.pass(0);
      assert.equal(await told(a.claims, 'key', 'other'), 'other_body');
      assert.equal(await told(b.claims, 'key', 'other'), 'other_body');
      assert.equal(await told(b.claims), 'done: one');
    });

    it('tells the same body in another dialect from this one', async (t) => {
      const { claims } = await (await open(t)).seat();
      await take(claims);
      const other = await claims.claim(claims.wanted('acme', 'key', ['messages', Buffer.from('body')]));
      assert.equal(other.kind, 'other_body');
    });

    it('keeps tenants apart that use the same key, and keys of a tenant', async (t) => {
      const { claims } = await (await open(t)).seat();
      (await take(claims, 'key', 'body', 'acme')).finish(answer('of acme'), DAY);
      assert.equal(await told(claims, 'key', 'body', 'globex'), 'claimed');
      assert.equal(await told(claims, 'Key', 'body', 'acme'), 'claimed');
      assert.equal(await told(claims, 'key', 'body', 'acme'), 'done: of acme');
    });

    it('tells those who wait in the same process how it ended, as soon as it did', async (t) => {
      const { claims } = await (await open(t)).seat();
      const first = await take(claims);
      const waiting = await Promise.all([ask(claims), ask(claims)]);
      first.finish(answer('one'), DAY);
      for (const one of waiting) {
        assert.deepEqual(await (one as Claimed & { kind: 'running' }).over, answer('one'));
      }

      const second = await take(claims, 'another');
      const running = (await ask(claims, 'another')) as Claimed & { kind: 'running' };
      second.free();
      assert.equal(await running.over, null);
    });

    it('takes the first word of a claim, and no other', async (t) => {
      const rig = await open(t);
      const [a, b] = [await rig.seat(), await rig.seat()];
      const claim = await take(a.claims);
      claim.finish(answer('one'), DAY);
      claim.free();
      claim.finish(answer('two'), DAY);
      await rig.pass(0);
      assert.equal(await told(b.claims), 'done: one');

      const freed = await take(a.claims, 'another');
      freed.free();
      freed.finish(answer('too late'), DAY);
      const between = await take(a.claims, 'another');
      between.free();
      await rig.pass(0);
      const next = await take(b.claims, 'another');
      freed.finish(answer('late'), DAY);
      freed.free();
      await rig.pass(0);
      assert.equal(await told(a.claims, 'another'), 'running');
      next.finish(answer('next'), DAY);
      await rig.pass(0);
      assert.equal(await told(a.claims, 'another'), 'done: next');
    });

    it('heals when whoever runs it dies: the next one has it when the lease is over', async (t) => {
      const rig = await open(t);
      const [a, b] = [await rig.seat(), await rig.seat()];
      // What one process alone keeps ends with it.
      if (a.die === null) return;
      await take(a.claims);
      await rig.pass(LEASE / 2);
      await a.die();
      const running = (await ask(b.claims)) as Claimed & { kind: 'running' };
      assert.equal(running.kind, 'running');
      await rig.pass(LEASE - 1);
      assert.equal(await told(b.claims), 'running');
      await rig.pass(1);
      assert.equal(await told(b.claims), 'claimed');
    });

    it('frees what runs when it is closed', async (t) => {
      const rig = await open(t);
      const [a, b] = [await rig.seat(), await rig.seat()];
      await take(a.claims);
      const { over } = (await ask(a.claims)) as Claimed & { kind: 'running' };
      await a.claims.close();
      assert.equal(await over, null);
      assert.equal(await told(b.claims), 'claimed');
    });
  });
}
