import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RawClient } from '../support/raw-http.ts';
import { turns } from '../support/rig.ts';
import { chatAnswer, chatStream, Gate, pauseUntil } from '../support/upstream.ts';
import { chatBody, chatHead, errorIn, serve } from './helpers.ts';

const requestFor = (changes: object) => {
  const body = chatBody(changes);
  return chatHead({ 'content-length': Buffer.byteLength(body) }) + body;
};

/** What a client writes at once. Bytes. */
const PIECE = 10_000;

describe('a gateway that drains', () => {
  it('ends the connection of a stream that had begun together with it, though others are under way', async (t) => {
    const { gateway, upstream } = await serve(t);
    const [finish, answer] = [new Gate(), new Gate()];
    upstream.enqueue(chatStream({ content: ['Hel', pauseUntil(finish), 'lo'] }), [
      pauseUntil(answer),
      chatAnswer({ content: 'late' }),
    ]);
    const [streaming, other] = [await RawClient.connect(gateway.url), await RawClient.connect(gateway.url)];
    await streaming.send(requestFor({ stream: true }));
    assert.equal((await streaming.response()).headers['connection'], 'keep-alive');
    await other.send(requestFor({}));
    await upstream.waitFor(2);

    const drained = gateway.app.drain();
    finish.open();
    assert.match(await streaming.rest(), /\[DONE\]/);
    answer.open();
    const late = await other.response();
    assert.equal(late.headers['connection'], 'close');
    assert.match(late.body, /late/);
    await drained;
  });

  it('answers a request that waits behind a stream on the same connection first', async (t) => {
    const { gateway, upstream } = await serve(t);
    const [finish, answer] = [new Gate(), new Gate()];
    upstream.enqueue(chatStream({ content: ['Hel', pauseUntil(finish), 'lo'] }), [
      pauseUntil(answer),
      chatAnswer({ content: 'late' }),
    ]);
    const client = await RawClient.connect(gateway.url);
    await client.send(requestFor({ stream: true }));
    await client.waitFor('Hel');
    await client.send(requestFor({}));
    await upstream.waitFor(2);

    const drained = gateway.app.drain();
    finish.open();
    await client.waitFor('[DONE]');
    answer.open();
    assert.match(await client.rest(), /late/);
    await drained;
  });

  it('reads over the body of a request that it refuses, so that its client comes to read why', async (t) => {
    const { gateway, upstream } = await serve(t);
    const finish = new Gate();
    upstream.enqueue(chatStream({ content: ['Hel', pauseUntil(finish), 'lo'] }));
    // It has sent nothing yet, and is not closed with those that wait for another request.
    const late = await RawClient.connect(gateway.url);
    const streaming = await RawClient.connect(gateway.url);
    await streaming.send(requestFor({ stream: true }));
    await streaming.waitFor('Hel');

    const drained = gateway.app.drain();
    const body = chatBody({ messages: [{ role: 'user', content: 'x'.repeat(200_000) }] });
    // It reads nothing before it has sent all.
    late.pause();
    await late.send(chatHead({ 'content-length': body.length }));
    await gateway.ended(1);
    // A connection that is closed with the answer is gone by then.
    await turns();
    for (let at = 0; at < body.length; at += PIECE) await late.send(body.slice(at, at + PIECE));
    late.resume();
    const refused = await late.response();
    assert.equal(refused.status, 503);
    assert.equal(refused.headers['connection'], 'close');
    assert.equal(errorIn(refused.body).code, 'server_shutting_down');
    await late.closed;
    finish.open();
    assert.match(await streaming.rest(), /\[DONE\]/);
    await drained;
  });

  it('reads it over also where its answer has waited behind a stream on the same connection', async (t) => {
    const { gateway, upstream } = await serve(t);
    const finish = new Gate();
    upstream.enqueue(chatStream({ content: ['Hel', pauseUntil(finish), 'lo'] }));
    const client = await RawClient.connect(gateway.url);
    await client.send(requestFor({ stream: true }));
    await client.waitFor('Hel');

    const drained = gateway.app.drain();
    const body = chatBody({ messages: [{ role: 'user', content: 'x'.repeat(200_000) }] });
    client.pause();
    await client.send(chatHead({ 'content-length': body.length }));
    await gateway.ended(1);
    finish.open();
    await gateway.ended(2);
    await turns();
    for (let at = 0; at < body.length; at += PIECE) await client.send(body.slice(at, at + PIECE));
    client.resume();
    await client.waitFor('[DONE]');
    assert.match(await client.rest(), / 503 .*server_shutting_down/s);
    await drained;
  });
});
