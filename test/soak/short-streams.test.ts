import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { chatStream, head, reset, startUpstream, write } from '../support/upstream.ts';
import { memoryOf, startGateway } from './kit.ts';

/** How many streams come and go: an hour of them, where that is asked for. */
const STREAMS = Number(process.env['SOAK_STREAMS'] ?? 900);
/** At a time. */
const CLIENTS = 40;
/** What may be left over, whatever the number of streams: compiled code, tables that grew, what the collector has not got round to. Bytes. */
const LEFT_OVER = 4 * 1024 * 1024;

/** How a stream goes. */
const WAYS = ['whole', 'left', 'broken', 'slow', 'whole', 'large'] as const;
type Way = (typeof WAYS)[number];

const EVENT = `data: ${JSON.stringify({
  id: 'c',
  object: 'chat.completion.chunk',
  choices: [{ index: 0, delta: { content: 'x'.repeat(16_000) }, finish_reason: null }],
})}\n\n`;

/** A client that goes that way, to its end. Returns what the gateway told it at last. */
async function go(way: Way, url: string, agent: Agent): Promise<string> {
  const leaving = new AbortController();
  const response = await request(`${url}/v1/chat/completions`, {
    method: 'POST',
    dispatcher: agent,
    signal: leaving.signal,
    body: JSON.stringify({
      model: 'm',
      stream: true,
      user: way,
      messages: [{ role: 'user', content: 'word '.repeat(way === 'large' ? 20_000 : 20) }],
    }),
  });
  if (response.statusCode === 503) {
    // On a machine that has other things to do, so many at a time may be too many: a client that heeds that comes again.
    await response.body.dump();
    await delay(1000 * Number(response.headers['retry-after']));
    return go(way, url, agent);
  }
  response.body.on('error', () => {});
  if (way === 'whole' || way === 'broken' || way === 'large') return (await response.body.text()).slice(-400);
  // A slow one takes a little, and then nothing, while more and more is sent to it.
  await response.body[Symbol.asyncIterator]().next();
  if (way === 'slow') await delay(20);
  leaving.abort();
  return '';
}

it('streams that come and go leave nothing in memory, however they end', { timeout: 900_000 }, async (t) => {
  const upstream = await startUpstream();
  upstream.reply((asked) => {
    switch (asked.json()['user']) {
      case 'broken':
        return chatStream({ content: ['One ', 'two ', reset()] });
      case 'slow':
      case 'left':
        return [
          head(200, { 'content-type': 'text/event-stream', connection: 'close' }),
          ...Array.from({ length: 60 }, () => write(EVENT)),
        ];
      default:
        return chatStream({ content: ['One ', 'two ', 'three.'] });
    }
  });
  t.after(() => upstream.close().catch(() => {}));
  const gateway = await startGateway(t, {
    providers: { a: { adapter: 'openai', base_url: upstream.url, api_key: 'sk-soak-streams' } },
    // One stream in six breaks, and that is not to keep the others away.
    models: { m: { provider: 'a', model: 'up', retry: { attempts: 0 } } },
    defaults: { breaker: { failure_rate: 1, consecutive_failures: 1_000_000 } },
  });
  const { url } = gateway;
  const told = new Map<Way, number>();
  const run = async (count: number) => {
    const agent = new Agent({ connections: CLIENTS });
    let next = 0;
    const client = async () => {
      while (next < count) {
        const way = WAYS[next++ % WAYS.length] as Way;
        const last = await go(way, url, agent);
        const isAsItShould =
          way === 'broken'
            ? last.includes('stream_interrupted') && !last.includes('[DONE]')
            : last === '' || last.endsWith('data: [DONE]\n\n');
        assert.ok(isAsItShould, `${way}: ${last}`);
        told.set(way, (told.get(way) ?? 0) + 1);
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
    await agent.destroy();
  };
  await run(STREAMS / 2); // code is compiled, tables grow
  const before = await memoryOf(gateway);
  await run(STREAMS);
  const after = await memoryOf(gateway);
  t.diagnostic(`${STREAMS} streams: ${before} bytes before, ${after} after`);
  assert.ok(after - before < LEFT_OVER, `memory grew from ${before} to ${after} bytes`);
  for (const way of WAYS) assert.ok((told.get(way) ?? 0) > 0, `none was ${way}`);
});
