import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FINISH, ROLE, readEvents, text } from '../support/rig.ts';
import { plain } from '../support/upstream.ts';
import { openScene } from './helpers.ts';

const MARK = Buffer.from('\ufeff');
const MESSAGES = '"messages":[{"role":"user","content":"hello"}]';
const ANSWER =
  '{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}]}';
const EVENTS = `${[ROLE, text('Hi'), FINISH].map((event) => `data: ${JSON.stringify(event)}\n\n`).join('')}data: [DONE]\n\n`;

function marked(words: string, type: string, status = 200) {
  const bytes = Buffer.concat([MARK, Buffer.from(words)]);
  return plain({ status, bytes, headers: { 'content-type': type } });
}

describe('a byte order mark at the beginning of what an upstream answers', () => {
  it('is no part of an answer, and does not reach the client', async (t) => {
    const { upstream, post } = await openScene(t);
    upstream.enqueue(marked(ANSWER, 'application/json; charset=utf-8'));
    const seen = await post(`{"model":"m",${MESSAGES}}`);
    assert.equal(seen.status, 200);
    assert.equal(seen.text, ANSWER);
    // The text would lose a mark that was there.
    assert.equal(seen.headers.get('content-length'), String(ANSWER.length));
  });

  it('is no part of a stream', async (t) => {
    const { upstream, post } = await openScene(t);
    upstream.enqueue(marked(EVENTS, 'text/event-stream'));
    const seen = await post(`{"model":"m","stream":true,${MESSAGES}}`);
    const { content, done } = readEvents(seen.text);
    assert.deepEqual([content, done], ['Hi', true]);
  });

  it('is no part of an error', async (t) => {
    const { upstream, post } = await openScene(t);
    const error = { message: 'no', type: 'invalid_request_error', param: 'x', code: 'bad' };
    upstream.enqueue(marked(JSON.stringify({ error }), 'application/json', 400));
    const seen = await post(`{"model":"m",${MESSAGES}}`);
    assert.equal(seen.status, 400);
    assert.deepEqual(seen.error, error);
  });
});
