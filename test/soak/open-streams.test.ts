import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Agent, request } from 'undici';
import { chatStream, Gate, pauseUntil, startUpstream } from '../support/upstream.ts';
import { memoryOf, startGateway } from './kit.ts';

const STREAMS = 40;
/** Of the text that each asks about. Bytes. */
const ASKED = 400_000;

it('an open stream keeps no more of its request than the bytes that went upstream', async (t) => {
  const upstream = await startUpstream();
  const gate = new Gate();
  upstream.reply(() => chatStream({ content: ['One ', pauseUntil(gate), 'two.'] }));
  const gateway = await startGateway(t, {
    providers: { a: { adapter: 'openai', base_url: upstream.url, api_key: 'sk-soak-streams' } },
    models: { m: { provider: 'a', model: 'm', override_params: { seed: 7 } } },
  });
  const agent = new Agent({ connections: STREAMS });
  t.after(async () => {
    await agent.destroy();
    await upstream.close().catch(() => {});
  });
  const open = async (content: string) => {
    const url = `${gateway.url}/v1/chat/completions`;
    const body = JSON.stringify({ model: 'm', stream: true, messages: [{ role: 'user', content }] });
    const answer = await request(url, { method: 'POST', dispatcher: agent, body });
    assert.equal(answer.statusCode, 200);
    return answer.body;
  };
  // Code is compiled, tables grow.
  const first = await Promise.all(Array.from({ length: STREAMS }, () => open('x')));
  for (const stream of first) stream.on('error', () => {}).destroy();
  const before = await memoryOf(gateway);
  const streams = await Promise.all(Array.from({ length: STREAMS }, () => open('x'.repeat(ASKED))));
  const each = ((await memoryOf(gateway, STREAMS)) - before) / STREAMS;
  gate.open();
  for (const stream of streams) assert.match(await stream.text(), /two\..*\[DONE\]\n\n$/s);
  // Once, and what a stream takes of its own; what it was parsed into would be as much again.
  assert.ok(each < 1.5 * ASKED, `${each} bytes for each stream`);
});
