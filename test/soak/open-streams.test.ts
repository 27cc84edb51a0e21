import assert from 'node:assert/strict';
import { it, type TestContext } from 'node:test';
import { Agent, type Dispatcher, request } from 'undici';
import { chatAnswer, chatStream, Gate, pauseUntil, startUpstream } from '../support/upstream.ts';
import { memoryOf, type SoakedGateway, startGateway } from './kit.ts';

const STREAMS = 40;
/** Of the text that each asks about. Bytes. */
const ASKED = 400_000;

interface Asking {
  gateway: SoakedGateway;
  gate: Gate;
  /** Asks for a stream about this, or for a whole answer; gives the body of what is answered. */
  ask(content: string, stream?: boolean): Promise<Dispatcher.ResponseData['body']>;
}

/** A gateway whose upstream keeps every stream open until the gate is. */
async function start(t: TestContext): Promise<Asking> {
  const upstream = await startUpstream();
  const gate = new Gate();
  upstream.reply((asked) =>
    asked.json()['stream'] === true
      ? chatStream({ content: ['One ', pauseUntil(gate), 'two.'] })
      : chatAnswer({ content: 'One.' }),
  );
  const gateway = await startGateway(t, {
    providers: { a: { adapter: 'openai', base_url: upstream.url, api_key: 'sk-soak-streams' } },
    models: { m: { provider: 'a', model: 'm', override_params: { seed: 7 } } },
  });
  const agent = new Agent({ connections: STREAMS + 1 });
  t.after(async () => {
    await agent.destroy();
    await upstream.close().catch(() => {});
  });
  const ask = async (content: string, stream = true) => {
    const url = `${gateway.url}/v1/chat/completions`;
    const body = JSON.stringify({ model: 'm', stream, messages: [{ role: 'user', content }] });
    const answer = await request(url, { method: 'POST', dispatcher: agent, body });
    assert.equal(answer.statusCode, 200);
    return answer.body;
  };
  // Code is compiled, tables grow.
  const first = await Promise.all(Array.from({ length: STREAMS }, () => ask('x')));
  for (const stream of first) stream.on('error', () => {}).destroy();
  return { gateway, gate, ask };
}

it('an open stream keeps no more of its request than the bytes that went upstream', async (t) => {
  const { gateway, gate, ask } = await start(t);
  const before = await memoryOf(gateway);
  // One after the other: at once, they are more than a slow machine takes.
  const streams: Dispatcher.ResponseData['body'][] = [];
  for (let n = 0; n < STREAMS; n++) streams.push(await ask('x'.repeat(ASKED)));
  const each = ((await memoryOf(gateway, STREAMS)) - before) / STREAMS;
  gate.open();
  for (const stream of streams) assert.match(await stream.text(), /two\..*\[DONE\]\n\n$/s);
  // Once, and what a stream takes of its own; what it was parsed into would be as much again.
  assert.ok(each < 1.5 * ASKED, `${each} bytes for each stream`);
});

it('an open stream keeps nothing of the requests that came and went beside it', async (t) => {
  const { gateway, gate, ask } = await start(t);
  const others = () =>
    Promise.all(Array.from({ length: 25 }, async () => (await ask('y'.repeat(3000), false)).dump()));
  await others();
  const before = await memoryOf(gateway);
  const streams = [];
  for (let count = 0; count < STREAMS; count++) {
    streams.push(await ask('x'));
    await others();
  }
  const each = ((await memoryOf(gateway, STREAMS)) - before) / STREAMS;
  gate.open();
  for (const stream of streams) await stream.dump();
  // What a stream takes of its own is half of that; Node's pool for small buffers would be 64 KiB more.
  assert.ok(each < 64 * 1024, `${each} bytes for each stream`);
});
