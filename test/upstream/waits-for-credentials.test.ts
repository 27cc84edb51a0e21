import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { Credentials } from '../../src/credentials/credentials.ts';
import type { TimeoutSettings } from '../../src/resilience/settings.ts';
import { openTarget } from '../streams/visit.ts';
import { turns } from '../support/rig.ts';
import { Gate, silence } from '../support/upstream.ts';

const TIMES: TimeoutSettings = { connect: 100, firstToken: 200, idle: 100, attempt: 400, total: 800 };

/** Whoever gives them never answers. */
const NEVER: Credentials = { authorize: () => new Promise(() => {}) };

/** Asks a target for a stream whose credentials do not come, and returns how that ended, and how long after. */
async function ask(t: TestContext, timeouts: Partial<TimeoutSettings>) {
  const target = await openTarget(t, { timeouts: { ...TIMES, ...timeouts } }, NEVER);
  const { clock } = target;
  const startedAt = clock.now();
  let over = false;
  const asked = target.ask().finally(() => {
    over = true;
  });
  while (!over && clock.now() - startedAt < 10_000) {
    clock.advance(50);
    await turns(5);
  }
  assert.ok(over, 'it waits on');
  const { visit } = await asked;
  assert.ok(visit.kind === 'failed');
  assert.equal(clock.pending, 0);
  assert.equal(target.upstream.requests.length, 0);
  return [visit.failure.kind, visit.failure.message, clock.now() - startedAt];
}

describe('a try whose credentials do not come', () => {
  it('is given up when a stream should have begun', async (t) => {
    assert.deepEqual(await ask(t, {}), ['timeout', 'no first token within 200 ms', 200]);
  });

  it('is given up when its own time is over', async (t) => {
    assert.deepEqual(await ask(t, { firstToken: 600 }), ['timeout', 'no whole answer within 400 ms', 400]);
  });

  it('is given up when the time for the whole request is over', async (t) => {
    assert.deepEqual(await ask(t, { firstToken: 600, total: 300 }), [
      'deadline',
      'the time for the whole request was over',
      300,
    ]);
  });
});

describe('a try whose credentials come late', () => {
  const bounds: Record<string, [Partial<TimeoutSettings>, string]> = {
    'a stream should have begun': [{}, 'no first token within 200 ms'],
    'its own time is over': [{ firstToken: 600, attempt: 200 }, 'no whole answer within 200 ms'],
  };
  for (const [when, [timeouts, why]] of Object.entries(bounds)) {
    it(`is given up when ${when}: the wait for them counts`, async (t) => {
      const came = new Gate();
      const credentials: Credentials = {
        async authorize() {
          await came.passed();
          return ['authorization', 'Bearer late'];
        },
      };
      const target = await openTarget(t, { timeouts: { ...TIMES, ...timeouts } }, credentials);
      const { clock, upstream } = target;
      upstream.enqueue(silence());
      const asked = target.ask();
      clock.advance(150);
      came.open();
      await upstream.waitFor(1);
      clock.advance(50);
      const { visit } = await asked;
      assert.ok(visit.kind === 'failed');
      assert.deepEqual([visit.failure.kind, visit.failure.message], ['timeout', why]);
      assert.equal(clock.pending, 0);
    });
  }
});
