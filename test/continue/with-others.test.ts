/** Going on together with what else a tree may have. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bodyOf, CLIENTS, eventsOf, post, readStream } from '../native/clients.ts';
import { readEvents, StreamReader, turns } from '../support/rig.ts';
import { apiError, Gate, pauseUntil } from '../support/upstream.ts';
import { brokenAfter, startPair, TOKENS, WHOLE, whole } from './kit.ts';

describe('going on', () => {
  for (const client of CLIENTS) {
    it(`may be hedged, and one speaks to the client: ${client}`, async (t) => {
      const pair = await startPair(t, {
        targets: [{}, {}, {}],
        node: { strategy: { mode: 'fallback', hedge: { after: '2s', max_extra: 1 } } },
      });
      const gate = new Gate();
      pair.upstreams[0].enqueue(brokenAfter(8));
      pair.upstreams[1].enqueue([pauseUntil(gate), whole()]);
      pair.upstreams[2].enqueue(whole());
      const response = await post(pair.gateway, client, bodyOf(client, 'm', { stream: true }));
      const reader = new StreamReader(response);
      const second = await pair.upstreams[1].nextRequest();
      await turns();
      await pair.clock.advance(2000);
      const received = readStream(client, eventsOf(await reader.rest()));
      assert.equal(received.text, WHOLE);
      assert.equal(received.end, 'finish');
      await second.closed;
      const { tries, parts = [] } = await pair.line();
      assert.deepEqual(
        tries.map(({ outcome }) => outcome),
        ['broken_body', 'superseded', 'ok'],
      );
      assert.deepEqual(
        parts.map(({ target }) => target),
        ['a/up', 'c/up'],
      );
      await pair.nothingLeft();
    });
  }

  it('is for one of a load balancer, which gives the other', async (t) => {
    const pair = await startPair(t, { node: { strategy: { mode: 'loadbalance' } } });
    pair.upstreams[0].reply(() => brokenAfter(8));
    pair.upstreams[1].reply(() => brokenAfter(12));
    const { content, error } = readEvents(await pair.ask());
    assert.equal(content, TOKENS.slice(0, 12).join(''));
    assert.equal(error?.code, 'stream_interrupted');
    assert.deepEqual(new Set((await pair.line()).tries.slice(0, 2).map(({ target }) => target)).size, 2);
  });

  it('skips a target whose breaker is open', async (t) => {
    const breaker = { consecutive_failures: 1, open_for: '60s' };
    const pair = await startPair(t, { targets: [{}, { breaker }, {}] });
    pair.upstreams[0].enqueue(brokenAfter(8), brokenAfter(8));
    pair.upstreams[1].enqueue(apiError(503));
    pair.upstreams[2].enqueue(whole(), whole());
    for (let i = 0; i < 2; i++) assert.equal(readEvents(await pair.ask()).content, WHOLE);
    assert.equal(pair.upstreams[1].requests.length, 1);
  });

  it('counts a break against the upstream, and a different answer against nobody', async (t) => {
    const breaker = { consecutive_failures: 1, open_for: '60s' };
    const pair = await startPair(t, { targets: [{ breaker }, { breaker }] });
    pair.upstreams[0].enqueue(brokenAfter(8));
    pair.upstreams[1].enqueue(whole({ content: ['No.'] }), whole());
    await pair.ask();
    const rows = await pair.gateway.upstreams();
    assert.deepEqual(
      rows.map(({ id, breaker: state }) => `${id} ${state}`),
      ['a/up#1 open', 'b/up#1 closed'],
    );
    assert.equal(readEvents(await pair.ask()).content, WHOLE);
  });
});
