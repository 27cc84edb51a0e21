import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RawClient } from '../support/raw-http.ts';
import { chatAnswer, chatStream, Gate, pauseUntil } from '../support/upstream.ts';
import { chatBody, chatHead, serve } from './helpers.ts';

const requestFor = (changes: object) => {
  const body = chatBody(changes);
  return chatHead({ 'content-length': Buffer.byteLength(body) }) + body;
};

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
});
