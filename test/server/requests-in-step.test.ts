/** What came with one look at the sockets takes each step together: seen through the channels that Node and undici tell of it. */
import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { after, it, type TestContext } from 'node:test';
import { RawClient } from '../support/raw-http.ts';
import { chatAnswer, Gate, pauseUntil } from '../support/upstream.ts';
import { chatBody, chatHead, serve } from './helpers.ts';

const { gateway, upstream } = await serve({ after });

/** What happens, in its order: a request's head has come, it is put to the upstream, its answer has come whole, it is answered. */
const STEPS = {
  'http.server.request.start': 'come',
  'undici:request:create': 'sent',
  'undici:request:trailers': 'answer',
  'http.server.response.finish': 'answered',
};

function watch(t: TestContext): string[] {
  const seen: string[] = [];
  for (const [channel, step] of Object.entries(STEPS)) {
    const listener = () => seen.push(step);
    subscribe(channel, listener);
    t.after(() => unsubscribe(channel, listener));
  }
  return seen;
}

it('requests that come at the same time are begun together, and their answers looked into together', async (t) => {
  const body = chatBody();
  const request = chatHead({ 'content-length': body.length }) + body;
  const clients = [await RawClient.connect(gateway.origin), await RawClient.connect(gateway.origin)];
  // All at once: what is written in one turn is there for the gateway's next look.
  const ask = async () => {
    const gate = new Gate();
    upstream.enqueue([pauseUntil(gate), chatAnswer()], [pauseUntil(gate), chatAnswer()]);
    for (const client of clients) void client.send(request);
    await gate.reached(clients.length);
    gate.open();
    for (const client of clients) assert.equal((await client.response()).status, 200);
  };
  // Connections to the upstream take a look at the sockets of their own.
  await ask();
  const seen = watch(t);
  const rounds: string[] = [];
  // A busy kernel may hand them over in two looks; not each time.
  for (let round = 0; round < 10; round++) {
    await ask();
    rounds.push(seen.splice(0).join(' '));
  }
  const inStep = 'come come sent sent answer answer answered answered';
  assert.ok(rounds.includes(inStep), rounds.join('\n'));
  for (const client of clients) client.destroy();
});
