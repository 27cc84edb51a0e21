import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { apiError, htmlPage, reset, type Script, silence } from '../support/upstream.ts';
import { ask, openGateway, openUpstream, PacedClock, provider } from './helpers.ts';

/** Ways in which a target can end. */
const ENDS = {
  invalid: apiError(422, { message: 'this is invalid', code: 'invalid_thing' }),
  too_long: apiError(400, { message: 'prompt is too long' }),
  filtered: apiError(400, { message: 'not that', code: 'content_filter' }),
  limited: apiError(429, {}, { 'retry-after': '50' }),
  limited_less: apiError(429, {}, { 'retry-after': '30' }),
  overloaded: apiError(503),
  overloaded_long: apiError(503, {}, { 'retry-after': '40' }),
  failing: apiError(500),
  refusing: apiError(401),
  unpaid: apiError(402),
  misconfigured: apiError(404, { code: 'model_not_found' }),
  gone: reset(),
  broken: htmlPage(200),
  silent: silence(),
  /** Its breaker is open. */
  skipped: null,
} as const satisfies Record<string, Script | null>;

type End = keyof typeof ENDS;

interface Expected {
  status: number;
  code: string;
  retryAfter?: string;
}

const CASES: [End[], Expected][] = [
  // The client's fault is what it hears of first, whatever else there was.
  [['invalid', 'failing'], { status: 422, code: 'invalid_thing' }],
  [['failing', 'invalid'], { status: 422, code: 'invalid_thing' }],
  [['overloaded', 'too_long', 'silent'], { status: 400, code: 'context_length_exceeded' }],
  [['filtered', 'invalid'], { status: 400, code: 'content_filter' }],
  [['invalid', 'filtered', 'too_long'], { status: 422, code: 'invalid_thing' }],
  [['too_long', 'limited'], { status: 400, code: 'context_length_exceeded' }],
  [['too_long', 'skipped'], { status: 400, code: 'context_length_exceeded' }],
  // 429 if every target was rate limited.
  [['limited'], { status: 429, code: 'upstream_rate_limited', retryAfter: '50' }],
  [['limited', 'limited_less'], { status: 429, code: 'upstream_rate_limited', retryAfter: '30' }],
  [['limited_less', 'limited'], { status: 429, code: 'upstream_rate_limited', retryAfter: '30' }],
  [['limited', 'overloaded'], { status: 502, code: 'upstream_error' }],
  [['failing', 'limited'], { status: 502, code: 'upstream_error' }],
  // 504 if the last one timed out.
  [['silent'], { status: 504, code: 'upstream_timeout' }],
  [['overloaded', 'silent'], { status: 504, code: 'upstream_timeout' }],
  [['limited', 'silent'], { status: 504, code: 'upstream_timeout' }],
  [['refusing', 'silent'], { status: 504, code: 'upstream_timeout' }],
  [['silent', 'failing'], { status: 502, code: 'upstream_error' }],
  [['silent', 'overloaded'], { status: 502, code: 'upstream_error' }],
  [['silent', 'limited'], { status: 502, code: 'upstream_error' }],
  // 503 if all were overloaded or skipped.
  [['overloaded'], { status: 503, code: 'no_healthy_upstream', retryAfter: '1' }],
  [['overloaded', 'overloaded_long'], { status: 503, code: 'no_healthy_upstream', retryAfter: '1' }],
  [['overloaded_long'], { status: 503, code: 'no_healthy_upstream', retryAfter: '40' }],
  [['overloaded', 'skipped'], { status: 503, code: 'no_healthy_upstream', retryAfter: '1' }],
  [['skipped', 'overloaded_long'], { status: 503, code: 'no_healthy_upstream', retryAfter: '40' }],
  [['skipped'], { status: 503, code: 'no_healthy_upstream', retryAfter: '55' }],
  [['skipped', 'skipped'], { status: 503, code: 'no_healthy_upstream', retryAfter: '55' }],
  // 502 else.
  [['failing'], { status: 502, code: 'upstream_error' }],
  [['overloaded', 'failing'], { status: 502, code: 'upstream_error' }],
  [['failing', 'overloaded'], { status: 502, code: 'upstream_error' }],
  [['gone', 'broken'], { status: 502, code: 'upstream_error' }],
  [['misconfigured', 'gone'], { status: 502, code: 'upstream_error' }],
  [['refusing', 'refusing'], { status: 502, code: 'upstream_auth_error' }],
  [['unpaid', 'unpaid'], { status: 502, code: 'upstream_out_of_credit' }],
  [['refusing', 'unpaid'], { status: 502, code: 'upstream_error' }],
  [['refusing', 'overloaded'], { status: 502, code: 'upstream_error' }],
  [['skipped', 'failing'], { status: 502, code: 'upstream_error' }],
  // Readings of ours: a target that was not asked neither was rate limited nor timed out, and is not counted there.
  [['limited', 'skipped'], { status: 429, code: 'upstream_rate_limited', retryAfter: '50' }],
  [['silent', 'skipped'], { status: 504, code: 'upstream_timeout' }],
  [['skipped', 'refusing'], { status: 502, code: 'upstream_auth_error' }],
];

const NAMES = ['a', 'b', 'c'];
/** Each goes on, so that every target has its turn. */
const EVERY_STATUS = [400, 402, 404, 422, 429, 500, 503];

describe('The status when all is over', () => {
  for (const [ends, expected] of CASES) {
    const list = ends.map((end) => end.replaceAll('_', ' ')).join(', ');
    it(`is ${expected.status} ${expected.code} of targets that are: ${list}`, async (t) => {
      const clock = new PacedClock();
      const upstreams = await Promise.all(ends.map((end) => openUpstream(t, () => ENDS[end] ?? reset())));
      const names = NAMES.slice(0, ends.length);
      const gateway = await openGateway(
        t,
        {
          providers: Object.fromEntries(
            names.map((name, index) => [name, provider(upstreams[index] as { url: string })]),
          ),
          models: {
            m: {
              strategy: { mode: 'fallback', on_status_codes: EVERY_STATUS },
              targets: names.map((name) => ({ provider: name })),
            },
            ...Object.fromEntries(names.map((name) => [`only-${name}`, { provider: name, model: 'm' }])),
          },
          defaults: {
            retry: { attempts: 0 },
            timeouts: { attempt: '21s' },
            breaker: { consecutive_failures: 2, open_for: '55s' },
          },
        },
        { clock },
      );
      for (const [index, end] of ends.entries()) {
        if (end !== 'skipped') continue;
        for (let i = 0; i < 2; i++) await ask(gateway, { model: `only-${names[index]}` });
      }

      const asking = ask(gateway);
      for (const [index, end] of ends.entries()) {
        if (end !== 'silent') continue;
        await upstreams[index]?.waitFor(1);
        clock.advance(21_000);
      }
      const seen = await asking;

      assert.equal(seen.status, expected.status, seen.text);
      assert.equal(seen.error?.code, expected.code);
      assert.equal(seen.headers.get('retry-after'), expected.retryAfter ?? null);
      const asked = ends.filter((end) => end !== 'skipped');
      assert.equal(seen.headers.get('x-spillway-attempts'), String(asked.length));
      if (expected.status >= 429) {
        for (const [index, end] of ends.entries()) {
          const word = `${names[index]}/m: ${end === 'skipped' ? 'skipped, its circuit breaker is open' : '1 try, '}`;
          assert.ok(seen.error?.message.includes(word), `${seen.error?.message}\ndoes not say: ${word}`);
        }
      } else {
        const guilty = ends.findIndex((end) => ['invalid', 'filtered', 'too_long'].includes(end));
        const relayed = ends[guilty] !== 'too_long';
        assert.equal(seen.headers.get('x-spillway-target'), relayed ? `${names[guilty]}/m` : null);
        assert.equal(seen.headers.get('x-should-retry'), 'false');
      }
    });
  }
});
