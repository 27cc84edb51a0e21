import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { apiError, reset, type Script, silence } from '../support/upstream.ts';
import { ANSWER, good, startStage } from './stage.ts';

const SECOND = 1000;
const OUTAGE = 60 * SECOND;
const EVERY = 4 * SECOND;

describe('A minute of outage, with a request every four seconds', () => {
  /** What is silent is found out later, so its breaker may open for 40 s shortly before the end. */
  for (const [how, answer, most, back] of [
    ['503s', () => apiError(503), 12, 30],
    ['resets', () => reset(), 12, 30],
    ['silence', () => silence(), 12, 40],
  ] as [string, () => Script, number, number][]) {
    for (const streamed of [true, false]) {
      it(`of ${how}: all are answered (${streamed ? 'streamed' : 'plain'}), for a handful of tries`, async (t) => {
        let isDown = true;
        const stage = await startStage(t, (request) => (isDown ? answer() : good('first', request)), {
          defaults: { timeouts: { first_token: '2s', attempt: '3s' } },
        });
        const body = streamed ? { stream: true } : {};
        const from = stage.clock.now();
        while (stage.clock.now() - from < OUTAGE) {
          const next = stage.clock.now() + EVERY;
          const seen = await stage.ask(body);
          assert.deepEqual([seen.status, seen.text, seen.whole], [200, ANSWER, true]);
          assert.equal(seen.headers.get('x-spillway-target'), 'second/second-model');
          await stage.pass(Math.max(0, next - stage.clock.now()));
        }
        const tries = stage.first.requests.length;
        assert.ok(tries >= 1 && tries <= most, `${tries} tries on the target that was down`);

        isDown = false;
        const recovered = stage.clock.now();
        for (;;) {
          const seen = await stage.ask(body);
          assert.deepEqual([seen.status, seen.text], [200, ANSWER]);
          if (seen.headers.get('x-spillway-target') === 'first/first-model') break;
          assert.ok(stage.clock.now() - recovered <= back * SECOND, 'it was not used again');
          await stage.pass(EVERY);
        }
        assert.ok(stage.clock.now() - recovered <= back * SECOND);
        assert.equal((await stage.gateway.upstreams())[0]?.breaker, 'closed');
      });
    }
  }
});
