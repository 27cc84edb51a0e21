import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { chatAnswer, chatStream, Gate, pauseUntil } from '../support/upstream.ts';
import { ANSWER, DAY, figures, HOUR, MINUTE, openScene, PROMPT, refused, SECOND, START } from './kit.ts';

const SHORT = { max_completion_tokens: ANSWER };
const EACH = PROMPT + ANSWER;

describe('a sliding quota', () => {
  const STRETCHES = { second: SECOND, minute: MINUTE, hour: HOUR };
  for (const [per, stretch] of Object.entries(STRETCHES)) {
    it(`per ${per} has room again after 1 to 1.05 stretches, and not before`, async (t) => {
      const scene = await openScene(t, { quotas: [{ limit: 1, of: 'requests', per }] });
      // Somewhere within a part.
      scene.clock.advance(stretch * 0.03);
      await scene.ask();
      scene.clock.advance(stretch);
      refused(await scene.ask());
      scene.clock.advance(stretch * 0.02 - 1);
      refused(await scene.ask());
      scene.clock.advance(1);
      assert.equal((await scene.ask()).status, 200);
    });

    it(`per ${per} does not begin anew with the next ${per} of the clock`, async (t) => {
      const scene = await openScene(t, { quotas: [{ limit: 2, of: 'requests', per }] });
      const toEnd = stretch - (START % stretch) - stretch / 20;
      scene.clock.advance(toEnd);
      for (let i = 0; i < 2; i++) assert.equal((await scene.ask()).status, 200);
      // Just after the turn: two more now would be four within a tenth of the stretch.
      scene.clock.advance(stretch / 10);
      refused(await scene.ask());
    });

    it(`per ${per} says to the millisecond when there is room again`, async (t) => {
      const scene = await openScene(t, {
        quotas: [{ limit: 3 * EACH, of: 'tokens', per }],
      });
      for (let i = 0; i < 3; i++) {
        assert.equal((await scene.ask(SHORT)).status, 200);
        scene.clock.advance(stretch / 4);
      }
      const seen = await scene.ask(SHORT);
      refused(seen);
      const wait = Number(seen.headers.get('retry-after-ms'));
      assert.ok(wait > stretch / 5 && wait <= stretch * 0.3, String(wait));
      scene.clock.advance(wait - 1);
      refused(await scene.ask(SHORT));
      scene.clock.advance(1);
      assert.equal((await scene.ask(SHORT)).status, 200);
      refused(await scene.ask(SHORT));
    });
  }

  it('gives back what was taken part by part, oldest first', async (t) => {
    const scene = await openScene(t, { quotas: [{ limit: 10, of: 'requests', per: 'minute' }] });
    for (const count of [1, 2, 3]) {
      for (let i = 0; i < count; i++) await scene.ask();
      scene.clock.advance(20 * SECOND);
    }
    assert.equal((await scene.quota()).used, 6);
    scene.clock.advance(3 * SECOND);
    assert.equal((await scene.quota()).used, 5);
    scene.clock.advance(20 * SECOND);
    assert.equal((await scene.quota()).used, 3);
    scene.clock.advance(20 * SECOND);
    assert.deepEqual(figures(await scene.quota()), { used: 0, reserved: 0, remaining: 10 });
  });
});

describe('a quota of the calendar', () => {
  const MIDNIGHT = Date.UTC(2026, 10, 23);
  const DECEMBER = Date.UTC(2026, 11, 1);

  for (const [per, end] of Object.entries({ day: MIDNIGHT, month: DECEMBER })) {
    it(`per ${per} begins anew at midnight, UTC`, async (t) => {
      const scene = await openScene(t, { quotas: [{ limit: 1, of: 'requests', per }] });
      await scene.ask();
      assert.equal((await scene.quota()).resets_at, new Date(end).toISOString());
      scene.clock.advance(end - START - 1);
      const seen = await scene.ask();
      refused(seen);
      assert.equal(seen.headers.get('retry-after-ms'), '1');
      assert.equal(seen.headers.get('retry-after'), '1');
      scene.clock.advance(1);
      assert.equal((await scene.quota()).used, 0);
      assert.equal((await scene.ask()).status, 200);
      refused(await scene.ask());
    });
  }

  it('per month lasts as long as the month does', async (t) => {
    const scene = await openScene(t, { quotas: [{ limit: 1, of: 'requests', per: 'month' }] });
    scene.clock.advance(Date.UTC(2028, 1, 1) - START);
    await scene.ask();
    const march = new Date(Date.UTC(2028, 2, 1)).toISOString();
    assert.equal((await scene.quota()).resets_at, march);
    scene.clock.advance(29 * DAY - 1);
    refused(await scene.ask());
    scene.clock.advance(1);
    assert.equal((await scene.ask()).status, 200);
  });

  it('is charged for the day that a request came on, however late its answer', async (t) => {
    const scene = await openScene(t, { quotas: [{ limit: 5000, of: 'tokens', per: 'day' }] });
    scene.clock.advance(MIDNIGHT - START - SECOND);
    const gate = new Gate();
    scene.upstream.enqueue([pauseUntil(gate), chatAnswer()]);
    const late = scene.ask();
    await gate.reached();
    assert.ok((await scene.quota()).reserved > 4000);
    scene.clock.advance(2 * SECOND);
    // The next day has all of its room already, and nothing of that answer is taken from it.
    assert.deepEqual(figures(await scene.quota()), { used: 0, reserved: 0, remaining: 5000 });
    gate.open();
    assert.equal((await late).status, 200);
    assert.deepEqual(figures(await scene.quota()), { used: 0, reserved: 0, remaining: 5000 });
  });
});

describe('what an answer turns out to take', () => {
  it('is charged as of when it was asked for', async (t) => {
    const scene = await openScene(t, { quotas: [{ limit: 5000, of: 'tokens', per: 'minute' }] });
    const gate = new Gate();
    scene.upstream.enqueue(chatStream({ content: ['Hel', pauseUntil(gate), 'lo'] }));
    const reader = await scene.stream();
    await reader.until('Hel');
    scene.clock.advance(20 * SECOND);
    gate.open();
    await reader.rest();
    assert.equal((await scene.quota()).used, EACH);
    scene.clock.advance(43 * SECOND - 1);
    assert.equal((await scene.quota()).used, EACH);
    scene.clock.advance(1);
    assert.equal((await scene.quota()).used, 0);
  });

  it('costs nothing any more where it took longer than the period', async (t) => {
    const scene = await openScene(t, { quotas: [{ limit: 5000, of: 'tokens', per: 'second' }] });
    const gate = new Gate();
    scene.upstream.enqueue(chatStream({ content: ['Hel', pauseUntil(gate), 'lo'] }));
    const reader = await scene.stream();
    await reader.until('Hel');
    scene.clock.advance(5 * SECOND);
    gate.open();
    await reader.rest();
    assert.deepEqual(figures(await scene.quota()), { used: 0, reserved: 0, remaining: 5000 });
  });
});
