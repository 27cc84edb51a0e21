import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { apiError, head, type Script, script, silence, stream, write } from '../support/upstream.ts';
import {
  attemptsMetric,
  onlyLine,
  openGateway,
  openUpstream,
  provider,
  rowOf,
  settle,
  triesOf,
} from './helpers.ts';

const moments: [string, Script][] = [
  ['before any answer', silence()],
  ['after the headers of one', script(head(200, { 'content-length': '100' }), silence())],
  ['before the first content', stream([': hello', silence()])],
  ['in the middle of an error', script(head(503, { 'content-length': '100' }), write('{'), silence())],
];

describe('A client that leaves', () => {
  for (const [name, answer] of moments) {
    for (const streaming of [false, true]) {
      it(`${name} ends the try at once, and nothing follows (${streaming ? 'a stream' : 'a plain call'})`, async (t) => {
        const a = await openUpstream(t, () => answer);
        const b = await openUpstream(t);
        const gateway = await openGateway(t, {
          providers: { a: provider(a), b: provider(b) },
          models: { m: { strategy: { mode: 'fallback' }, targets: [{ provider: 'a' }, { provider: 'b' }] } },
          defaults: { breaker: { consecutive_failures: 1 } },
        });
        const leaving = new AbortController();
        gateway.chat({ stream: streaming }, {}, leaving.signal).catch(() => {});
        const request = await a.nextRequest();
        await settle();
        leaving.abort();
        await request.closed;
        assert.equal(request.aborted, true);

        const line = await onlyLine(gateway);
        assert.equal(line.status, 499);
        assert.equal(line.outcome, 'client_gone');
        assert.deepEqual(triesOf(line), ['a/m client_gone -']);
        assert.equal(await attemptsMetric(gateway, 'a', 'client_gone'), 1);
        const upstream = await rowOf(gateway, 'a/m#1');
        assert.equal(upstream.breaker, 'closed');
        assert.equal(upstream.in_flight, 0);
        assert.equal(upstream.last_error, null);
        assert.equal(a.requests.length, 1);
        assert.equal(b.requests.length, 0);
        assert.equal(await gateway.metric('spillway_in_flight'), 0);
      });
    }
  }

  it('says nothing of how a refused try went', async (t) => {
    const a = await openUpstream(t, () => apiError(400));
    const gateway = await openGateway(t, { providers: { a: provider(a) }, models: { m: { provider: 'a' } } });
    await (await gateway.chat()).text();
    assert.equal((await onlyLine(gateway)).outcome, 'invalid_request');
  });
});
