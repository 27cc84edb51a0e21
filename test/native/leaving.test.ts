/** A client that leaves in the middle of an answer, and one that leaves before it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NANODOLLARS } from '../../src/core/usage.ts';
import { StreamReader, until } from '../support/rig.ts';
import { plain, silence } from '../support/upstream.ts';
import { bodyOf, CLIENTS, post } from './clients.ts';
import { ADAPTERS } from './loop.ts';
import { COUNTS, type Saying } from './saying.ts';
import { speechOf, streamEvents, streamOf } from './speech.ts';
import { RATES, type Stage, startStage } from './stage.ts';

/** Enough to be worth some tokens. */
const PIECE = 'It rains, and it will rain for a while. ';
const SAYING: Saying = { text: [PIECE.repeat(10), PIECE.repeat(10), 'never sent'], counts: COUNTS };

async function nothingLeft({ gateway, upstreams }: Stage): Promise<void> {
  await until(() => Object.values(upstreams).every(({ inFlight }) => inFlight === 0));
  assert.equal(await gateway.metric('spillway_in_flight'), 0);
  for (const { in_flight } of await gateway.upstreams()) assert.equal(in_flight, 0);
}

for (const adapter of ADAPTERS) {
  describe(`a client that leaves ${adapter}`, () => {
    for (const client of CLIENTS) {
      it(`in mid-stream: the upstream is let go at once, and what came is paid for (${client})`, async (t) => {
        const quotas = [
          { of: 'output_tokens', per: 'day', limit: 1_000_000 },
          { of: 'concurrent', limit: 3 },
        ];
        const stage = await startStage(t, { config: { tenants: [{ id: 'anonymous', quotas }] } });
        const { gateway } = stage;
        const upstream = stage.upstreams[adapter];
        upstream.reply(({ path }) => {
          const speech = speechOf(path);
          const events = streamEvents(speech, SAYING);
          const third = events.findIndex((event) => event.includes('never sent'));
          return streamOf(speech, [...events.slice(0, third), silence()]);
        });
        const leaving = new AbortController();
        const answer = await post(gateway, client, bodyOf(client, adapter, { stream: true }), {
          signal: leaving.signal,
        });
        const reader = new StreamReader(answer);
        await reader.until(PIECE.repeat(10));
        await until(() => reader.text.split(PIECE).length > 10);
        leaving.abort();
        const request = await upstream.nextRequest();
        await request.closed;
        assert.equal(request.aborted, true);

        const [line] = await gateway.ended(1);
        assert.equal(line?.outcome, 'client_gone');
        const { tokens } = line;
        assert.ok(tokens);
        assert.equal(tokens.estimated, true);
        // 800 characters, or the first half of them: about four to a token, and nothing of what was never sent.
        assert.ok(tokens.output >= 60 && tokens.output < 300, `${tokens.output} tokens`);
        const { input, output, cached, cache_write: written = 0 } = tokens;
        const most = (input * RATES.cacheWriteHour + output * RATES.out) / NANODOLLARS;
        assert.ok((line.cost_usd ?? -1) > 0 && (line.cost_usd ?? -1) <= most);
        assert.ok(cached + written <= input);

        const { quotas: now } = (await (await fetch(`${gateway.url}/usage`)).json()) as {
          quotas: { used: number; reserved: number }[];
        };
        assert.deepEqual(
          now.map(({ used, reserved }) => [used, reserved]),
          [
            [output, 0],
            [0, 0],
          ],
        );
        const series = `spillway_attempts_total{provider="${adapter}",model="${line.target?.slice(adapter.length + 1)}",outcome="client_gone"}`;
        assert.equal(await gateway.metric(series), 1);
        const [row] = (await gateway.upstreams()).filter(({ id }) => id.startsWith(`${adapter}/`));
        assert.equal(row?.last_error, null, 'it is not the upstream’s fault');
        await nothingLeft(stage);
      });
    }

    it('before the answer: nothing is paid for, whole or streamed', async (t) => {
      const stage = await startStage(t);
      const upstream = stage.upstreams[adapter];
      upstream.reply(() => silence());
      for (const stream of [false, true]) {
        const leaving = new AbortController();
        const asked = post(stage.gateway, 'chat', bodyOf('chat', adapter, { stream }), {
          signal: leaving.signal,
        });
        const request = await upstream.nextRequest();
        leaving.abort();
        await assert.rejects(asked);
        await request.closed;
      }
      for (const { outcome, tokens, status } of await stage.gateway.ended(2)) {
        assert.deepEqual([outcome, tokens, status], ['client_gone', null, 499]);
      }
      await nothingLeft(stage);
    });
  });
}

describe('a client that leaves an answer of Gemini’s that takes several calls', () => {
  for (const stream of [false, true]) {
    it(`in the second of them, ${stream ? 'streamed' : 'whole'}: that one is let go as well`, async (t) => {
      const stage = await startStage(t);
      const json = {
        candidates: [
          {
            content: { role: 'model', parts: [{ text: 'One, ' }] },
            finishReason: 'CONTINUATION',
            continuationToken: 't',
            index: 0,
          },
        ],
        usageMetadata: { promptTokenCount: 9, candidatesTokenCount: 5, totalTokenCount: 14 },
      };
      stage.upstreams.gemini.enqueue(stream ? streamOf('gemini', [json]) : plain({ json }), silence());
      const leaving = new AbortController();
      const asked = post(stage.gateway, 'chat', bodyOf('chat', 'gemini', { stream }), {
        signal: leaving.signal,
      });
      // Whether the client has the beginning or nothing yet.
      asked.catch(() => {});
      const [, second] = await stage.upstreams.gemini.waitFor(2);
      leaving.abort();
      await second?.closed;
      const [line] = await stage.gateway.ended(1);
      assert.equal(line?.outcome, 'client_gone');
      await nothingLeft(stage);
    });
  }
});
