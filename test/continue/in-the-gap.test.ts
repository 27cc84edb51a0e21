/** While nobody writes: one stream is over, and the next has not begun. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { chatRequest, readEvents, turns, until, untilStill } from '../support/rig.ts';
import { chatStream, close, Gate, pauseUntil, type Step } from '../support/upstream.ts';
import { brokenAfter, startPair, TOKENS, WHOLE, whole } from './kit.ts';

const begun = TOKENS.slice(0, 8).join('');

describe('in the gap', () => {
  it('comments keep the stream open', async (t) => {
    const pair = await startPair(t, { server: { heartbeat: '5s' } });
    const gate = new Gate();
    pair.upstreams[0].enqueue(brokenAfter(8));
    pair.upstreams[1].enqueue([pauseUntil(gate), whole()]);
    const reader = await pair.stream();
    await pair.upstreams[1].waitFor(1);
    await turns();
    await pair.clock.advance(5000);
    await reader.until(':');
    await pair.clock.advance(5000);
    gate.open();
    const { content, comments, done } = readEvents(await reader.rest());
    assert.equal(content, WHOLE);
    assert.equal(done, true);
    assert.ok(comments >= 2);
  });

  it('a client that leaves ends all of it', async (t) => {
    const pair = await startPair(t);
    pair.upstreams[0].enqueue(brokenAfter(8));
    pair.upstreams[1].enqueue(pauseUntil(new Gate()));
    const reader = await pair.stream();
    const second = await pair.upstreams[1].nextRequest();
    await reader.leave();
    await second.closed;
    const line = await pair.line();
    assert.equal(line.outcome, 'client_gone');
    assert.deepEqual(
      line.tries.map(({ outcome }) => outcome),
      ['broken_body', 'client_gone'],
    );
    assert.ok((line.tokens?.output ?? 0) > 0, 'what it was told is charged');
    await pair.nothingLeft();
  });

  it('a client that leaves while the rest comes ends all of it', async (t) => {
    const pair = await startPair(t);
    const gate = new Gate();
    pair.upstreams[0].enqueue(brokenAfter(8));
    pair.upstreams[1].enqueue(chatStream({ content: [...TOKENS.slice(0, 10), pauseUntil(gate)] }));
    const reader = await pair.stream();
    await reader.until(' fell');
    await reader.leave();
    await (await pair.upstreams[1].nextRequest()).closed;
    assert.equal((await pair.line()).outcome, 'client_gone');
    await pair.nothingLeft();
  });

  it('the end of the drain ends all of it', async (t) => {
    const pair = await startPair(t, { server: { drain_timeout: '10s' } });
    pair.upstreams[0].enqueue(brokenAfter(8));
    pair.upstreams[1].enqueue(pauseUntil(new Gate()));
    const reader = await pair.stream();
    await pair.upstreams[1].waitFor(1);
    await turns();
    const closed = pair.gateway.app.drain();
    await turns();
    await pair.clock.advance(10_000);
    const { content, error } = readEvents(await reader.rest());
    assert.equal(content, begun);
    assert.equal(error?.code, 'stream_interrupted');
    await closed;
    await until(() => pair.clock.pending === 0);
  });

  it('the time for the whole request goes on', async (t) => {
    const pair = await startPair(t, {
      node: { timeouts: { total: '60s', attempt: '60s', first_token: '60s', idle: '60s' } },
    });
    pair.upstreams[0].enqueue(brokenAfter(8));
    pair.upstreams[1].enqueue(pauseUntil(new Gate()));
    const reader = await pair.stream();
    await pair.upstreams[1].waitFor(1);
    await turns();
    await pair.clock.advance(60_000);
    const { content, error } = readEvents(await reader.rest());
    assert.equal(content, begun);
    assert.equal(error?.code, 'stream_interrupted');
    await pair.nothingLeft();
  });
});

describe('a client that is slow', () => {
  it('slows down whoever goes on, and gets all of it', async (t) => {
    const pair = await startPair(t);
    const block = '#'.repeat(100_000);
    const blocks = 100;
    let written = 0;
    const counted: Step = () => {
      written++;
    };
    const some = Array.from({ length: 3 }, () => block);
    pair.upstreams[0].enqueue(chatStream({ content: [...some, close()] }));
    pair.upstreams[1].enqueue(
      chatStream({
        content: Array.from({ length: blocks }, () => [block, counted]).flat() as (string | Step)[],
      }),
    );
    const socket = connect(Number(new URL(pair.gateway.origin).port), '127.0.0.1');
    t.after(() => socket.destroy());
    await new Promise((resolve) => socket.once('connect', resolve));
    socket.pause();
    socket.write(chatRequest({ stream: true }, { connection: 'close', 'content-type': 'application/json' }));
    await pair.upstreams[1].waitFor(1);
    const still = await untilStill(() => written);
    assert.ok(still < blocks, `all ${still} were taken for a client that reads nothing`);
    let received = 0;
    socket.on('data', (bytes) => {
      received += bytes.toString().split('#').length - 1;
    });
    const ended = new Promise((resolve) => socket.once('end', resolve));
    socket.resume();
    await ended;
    assert.equal(received, blocks * block.length);
    assert.equal((await pair.line()).outcome, 'ok');
    await pair.nothingLeft();
  });

  it('may be so while the first one breaks', async (t) => {
    const pair = await startPair(t);
    const block = 'x'.repeat(500_000);
    const first = Array.from({ length: 20 }, () => block);
    pair.upstreams[0].enqueue(chatStream({ content: [...first, close()] }));
    pair.upstreams[1].enqueue(chatStream({ content: [...first, 'y'] }));
    const response = await pair.gateway.chat({ stream: true });
    await untilStill(() => pair.upstreams[1].requests.length);
    // Ten million letters: more than is kept of an answer, so it is not gone on with.
    const { content, error } = readEvents(await response.text());
    assert.equal(content.length, 20 * block.length);
    assert.equal(error?.code, 'stream_interrupted');
  });
});
