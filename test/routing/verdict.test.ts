import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { End } from './model.ts';
import { cooling, fails, fallback, OK, open, run, S400, S401, S429, S500, S503, target } from './run.ts';

/** What the client is told when targets a, b, c … end so, whatever their statuses. */
async function told(...ends: End[]): Promise<string> {
  const ids = 'abcdef'.split('');
  const everything = [400, 402, 403, 404, 413, 429, 500, 503];
  const tree = fallback(
    ends.map((end, i) => target(ids[i] ?? '', end, OK, { patience: 0 })),
    everything,
  );
  const { verdict } = await run(tree);
  if (verdict === null) return 'nothing';
  return verdict.relayedFrom === null
    ? `${verdict.status} ${verdict.code}`
    : `${verdict.status} of ${verdict.relayedFrom}`;
}

const TIMEOUT = fails('timeout', null);

describe('what the client is told', () => {
  it('is the first invalid request, even if targets after it failed otherwise', async () => {
    assert.equal(await told(S500, S400, fails('invalid_request', 422), S503, TIMEOUT), '400 of b');
    assert.equal(await told(S429, fails('content_filtered', 403), S400, S429), '403 of b');
    assert.equal(await told(fails('context_too_long', 413), S400), '400 context_length_exceeded');
  });

  it('is 429 if every target was rate limited, and only then', async () => {
    assert.equal(await told(S429, S429), '429 upstream_rate_limited');
    assert.equal(await told(S429, S500), '502 upstream_error');
    assert.equal(await told(S429, S503), '502 upstream_error');
  });

  it('is 429 as well if the targets that were not asked were skipped', async () => {
    assert.equal(await told(S429, cooling(60_000), open(5000)), '429 upstream_rate_limited');
  });

  it('is 504 if the last one timed out', async () => {
    assert.equal(await told(S500, TIMEOUT), '504 upstream_timeout');
    assert.equal(await told(S500, fails('deadline', null)), '504 upstream_timeout');
    assert.equal(await told(TIMEOUT, S500), '502 upstream_error');
  });

  it('is 503 if all were overloaded or skipped', async () => {
    assert.equal(await told(S503, fails('overloaded', 529)), '503 no_healthy_upstream');
    assert.equal(await told(S503, open(5000)), '503 no_healthy_upstream');
    assert.equal(await told(cooling(60_000), open(5000)), '503 no_healthy_upstream');
    assert.equal(await told(S503, S500), '502 upstream_error');
  });

  it('is 502 for everything else, and says so if all our keys or accounts are to blame', async () => {
    const broke = fails('out_of_credit', 402);
    assert.equal(await told(S500, fails('connection_failed', null)), '502 upstream_error');
    assert.equal(await told(S401, S401), '502 upstream_auth_error');
    assert.equal(await told(broke, broke), '502 upstream_out_of_credit');
    assert.equal(await told(S401, broke), '502 upstream_error');
  });

  it('is nothing if the client has gone', async () => {
    assert.equal(await told(S400, fails('client_gone', null)), 'nothing');
  });
});

describe('the wait that the client is told', () => {
  it('is the shortest of all targets, and at least a second', async () => {
    const { verdict } = await run(
      fallback([
        target('a', fails('rate_limited', 429, 9000)),
        target('b', fails('rate_limited', 429, 4000)),
      ]),
    );
    assert.equal(verdict?.retryAfterMs, 4000);
    assert.equal((await run(target('a', S503))).verdict?.retryAfterMs, 1000);
  });

  it('counts a key that cools down and a breaker that opens alike', async () => {
    const both: End = { kind: 'skipped', coolsInMs: 300_000, opensInMs: 5000 };
    const { verdict } = await run(target('a', both));
    assert.deepEqual([verdict?.status, verdict?.retryAfterMs, verdict?.shouldRetry], [503, 5000, null]);
  });

  it('keeps the SDKs from trying again by themselves if it is over a minute', async () => {
    const { verdict } = await run(target('a', fails('rate_limited', 429, 60_001)));
    assert.deepEqual([verdict?.retryAfterMs, verdict?.shouldRetry], [60_001, false]);
  });
});

it('the message names each target once, with its tries and its last outcome', async () => {
  const tree = fallback([
    target('a/x', S500),
    target('b/y', cooling(2000), fails('connection_failed', null)),
    target('c/z', open(5000)),
  ]);
  const { message } = await run(tree);
  assert.equal(
    message,
    "No target of 'm' gave an answer. Tried: a/x: 1 try, server error (HTTP 500); " +
      'b/y: 1 try, connection failed; c/z: skipped, its circuit breaker is open.',
  );
});
