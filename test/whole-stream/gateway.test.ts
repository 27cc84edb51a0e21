import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readEvents, startRig, turns, until } from '../support/rig.ts';
import { apiError, chatAnswer, chatStream, type UpstreamRequest } from '../support/upstream.ts';

/** A host without room for streams. */
function refusesStreams(request: UpstreamRequest) {
  return request.json()['stream'] === true ? apiError(529) : chatAnswer({ content: 'Hello, whole.' });
}

const isStream = (request: UpstreamRequest) => request.json()['stream'] === true;

describe('a target that has no room for streams', () => {
  it('is asked for the whole answer when its tries are used up, and that is told as a stream', async (t) => {
    const rig = await startRig(t, { node: { retry: { attempts: 1 } } });
    rig.upstream.reply(refusesStreams);
    const answer = rig.stream({ stream_options: { include_usage: true } });
    await rig.upstream.waitFor(1);
    await until(() => rig.clock.pending > 0 && rig.upstream.inFlight === 0);
    await turns();
    await rig.clock.advanceAsync(1_000);
    const reader = await answer;
    assert.equal(reader.response.headers.get('x-spillway-stream'), 'whole');
    assert.equal(reader.response.headers.get('x-spillway-attempts'), '3');
    const { content, done, chunks } = readEvents(await reader.rest());
    assert.equal(content, 'Hello, whole.');
    assert.ok(done);
    assert.equal(chunks.at(-2)?.choices[0]?.finish_reason, 'stop');
    assert.equal(chunks.at(-1)?.usage?.completion_tokens, 12);
    assert.deepEqual(rig.upstream.requests.map(isStream), [true, true, false]);
    const plain = rig.upstream.requests[2];
    assert.equal(plain?.json()['stream_options'], undefined);
    assert.equal(plain?.headers['accept'], 'application/json');
    const line = await rig.line();
    assert.deepEqual(
      line.tries.map(({ outcome, status }) => [outcome, status]),
      [
        ['overloaded', 529],
        ['overloaded', 529],
        ['ok', 200],
      ],
    );
    assert.equal(line.outcome, 'ok');
    assert.equal(line.tokens?.output, 12);
    assert.equal(line.stream, true);
    await rig.nothingLeft();
  });

  it('is asked for whole answers at once for a minute, then for a stream again', async (t) => {
    const rig = await startRig(t);
    rig.upstream.reply(refusesStreams);
    await (await rig.stream()).rest();
    rig.clock.advance(59_999);
    const again = await rig.stream();
    assert.equal(again.response.headers.get('x-spillway-stream'), 'whole');
    await again.rest();
    assert.deepEqual(rig.upstream.requests.map(isStream), [true, false, false]);
    rig.upstream.reply(() => chatStream());
    rig.clock.advance(1);
    const last = await rig.stream();
    assert.equal(last.response.headers.get('x-spillway-stream'), null);
    assert.ok(readEvents(await last.rest()).done);
    assert.ok(isStream(rig.upstream.requests[3] as UpstreamRequest));
  });

  it('does not put off the minute by answering', async (t) => {
    const rig = await startRig(t);
    rig.upstream.reply(refusesStreams);
    await (await rig.stream()).rest();
    rig.clock.advance(40_000);
    await (await rig.stream()).rest();
    rig.clock.advance(20_000);
    await (await rig.stream()).rest();
    assert.deepEqual(rig.upstream.requests.map(isStream), [true, false, false, true, false]);
  });

  it('is asked for a whole answer once only where it has no room for that either', async (t) => {
    const rig = await startRig(t, { second: true });
    rig.upstream.reply(() => apiError(503));
    const { content } = readEvents(await (await rig.stream()).rest());
    assert.equal(content, 'Hello from upstream.');
    assert.deepEqual(rig.upstream.requests.map(isStream), [true, false]);
    assert.equal((await rig.line()).target, 'b/up');
    // Nothing was learned of it: the next request asks for a stream.
    await (await rig.stream()).rest();
    assert.deepEqual(rig.upstream.requests.map(isStream), [true, false, true, false]);
    await rig.nothingLeft();
  });

  it('is not asked twice where it is known to have no room for streams', async (t) => {
    const rig = await startRig(t, { second: true });
    rig.upstream.reply(refusesStreams);
    await (await rig.stream()).rest();
    rig.upstream.reply(() => apiError(503));
    await (await rig.stream()).rest();
    assert.deepEqual(rig.upstream.requests.map(isStream), [true, false, false]);
  });

  it('is asked for a whole answer once, whatever becomes of that; what was wrong is the want of room', async (t) => {
    const rig = await startRig(t, { node: { retry: { attempts: 3, on_status_codes: [500] } } });
    rig.upstream.reply((request) => apiError(isStream(request) ? 503 : 500));
    const response = await rig.gateway.chat({ stream: true });
    assert.equal(response.status, 503);
    assert.match(await response.text(), /2 tries, overloaded \(HTTP 503\)/);
    assert.deepEqual(rig.upstream.requests.map(isStream), [true, false]);
  });

  it('is not asked again after another kind of failure than want of room', async (t) => {
    for (const status of [500, 400, 429]) {
      const rig = await startRig(t, { second: true });
      rig.upstream.reply(() => apiError(status));
      await (await rig.gateway.chat({ stream: true })).text();
      assert.equal(rig.upstream.requests.length, 1, `${status}`);
    }
  });

  it('is not asked for a whole answer where a whole one was refused', async (t) => {
    const rig = await startRig(t);
    rig.upstream.reply(() => apiError(529));
    assert.equal((await rig.gateway.chat()).status, 503);
    assert.equal(rig.upstream.requests.length, 1);
  });

  it('is left alone where its breaker opened', async (t) => {
    const rig = await startRig(t, { node: { breaker: { consecutive_failures: 1 } }, second: true });
    rig.upstream.reply(refusesStreams);
    await (await rig.stream()).rest();
    assert.equal(rig.upstream.requests.length, 1);
  });

  it('is left alone where retries are spent', async (t) => {
    const budget = { ratio: 0, min_per_second: 0 };
    const rig = await startRig(t, { node: { retry: { attempts: 0, budget } }, second: true });
    rig.upstream.reply(refusesStreams);
    await (await rig.stream()).rest();
    assert.equal(rig.upstream.requests.length, 1);
    assert.equal(await rig.gateway.metric('spillway_retries_denied_total{upstream="a/up#1"}'), 1);
  });

  it('is asked no sooner than it wants to be', async (t) => {
    const rig = await startRig(t);
    rig.upstream.enqueue(apiError(503, {}, { 'retry-after': '2' }));
    rig.upstream.reply(refusesStreams);
    const answer = rig.stream();
    await rig.upstream.waitFor(1);
    await turns();
    await rig.clock.advanceAsync(1_900);
    await turns();
    assert.equal(rig.upstream.requests.length, 1);
    await rig.clock.advanceAsync(200);
    assert.equal(readEvents(await (await answer).rest()).content, 'Hello, whole.');
  });

  it('is not waited for longer than allowed', async (t) => {
    const rig = await startRig(t, { second: true });
    rig.upstream.reply(() => apiError(503, {}, { 'retry-after': '3600' }));
    await (await rig.stream()).rest();
    assert.equal(rig.upstream.requests.length, 1);
  });
});

describe('a host that answers a wish for a stream with the whole', () => {
  it('is told as a stream at once', async (t) => {
    const rig = await startRig(t);
    rig.upstream.enqueue(chatAnswer({ content: 'All of it.' }));
    const reader = await rig.stream();
    assert.equal(reader.response.headers.get('x-spillway-stream'), 'whole');
    const { content, done } = readEvents(await reader.rest());
    assert.equal(content, 'All of it.');
    assert.ok(done);
    assert.deepEqual(
      (await rig.line()).tries.map(({ outcome }) => outcome),
      ['ok'],
    );
    // It may have streams all the same: it is asked for one again.
    rig.upstream.enqueue(chatStream());
    assert.ok(readEvents(await (await rig.stream()).rest()).done);
    await rig.nothingLeft();
  });

  it('is passed over where that has no finish', async (t) => {
    const rig = await startRig(t, { second: true });
    rig.upstream.enqueue(chatAnswer({ finish: '' }));
    assert.equal(readEvents(await (await rig.stream()).rest()).content, 'Hello from upstream.');
    assert.deepEqual(
      (await rig.line()).tries.map(({ outcome }) => outcome),
      ['broken_body', 'ok'],
    );
    await rig.nothingLeft();
  });
});
