import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { dollars, NANODOLLARS, type Usage } from '../../src/core/usage.ts';
import type { RequestLine, TestGateway } from '../support/gateway.ts';
import { ask, CLIENTS, type Client, type Heard } from './clients.ts';
import { ADAPTERS, type AdapterName } from './loop.ts';
import { COUNTS, reportedBy, type Saying, type Speech } from './saying.ts';
import { answerTo, speechOf } from './speech.ts';
import { costOf, startStage } from './stage.ts';

const SAYING: Saying = {
  thoughts: ['It is', ' cold there.'],
  text: ['Rather ', 'not.'],
  calls: [{ id: 'call_1', name: 'look_up', arguments: ['{"city":', '"Ulm"}'] }],
  counts: COUNTS,
};

/** In whose words each provider is asked on behalf of that client. */
function speechFor(adapter: AdapterName, client: Client): Speech {
  switch (adapter) {
    case 'openai':
    case 'azure':
      return client === 'responses' ? 'responses' : 'chat';
    case 'anthropic':
      return 'messages';
    case 'bedrock':
      return 'converse';
    case 'gemini':
    case 'vertex':
      return 'gemini';
  }
}

/**
 * What of it that client's own words can say: only Anthropic's know of an hour, and in a stream they say it at the beginning, where nobody but
 * Anthropic knows it yet.
 */
function toldTo(client: Client, streamed: boolean, usage: Usage, adapter: AdapterName): Usage {
  const { cacheWriteHour, ...others } = usage;
  const told = client === 'messages' && (!streamed || adapter === 'anthropic');
  return told ? usage : others;
}

function logged({ input, output, cached, cacheWrite, reasoning }: Usage): RequestLine['tokens'] {
  return { input, output, cached, ...(cacheWrite > 0 ? { cache_write: cacheWrite } : {}), reasoning };
}

/** Of the operator's ledger: all that was booked on a model. */
async function booked({ admin }: TestGateway, model: string): Promise<Record<string, number>> {
  const answer = await fetch(`${admin}/admin/usage?by=model&model=${model}`);
  const { rows } = (await answer.json()) as { rows: Record<string, number>[] };
  assert.equal(rows.length, 1);
  return rows[0] ?? {};
}

/** The series of a model's tokens, by kind. */
async function counted(gateway: TestGateway, model: string): Promise<Record<string, number>> {
  const series = new RegExp(
    `^spillway_tokens_total\\{(?=[^}]*model="${model}")[^}]*kind="([a-z_]+)"[^}]*\\} (\\S+)$`,
    'gm',
  );
  const found = [...(await gateway.metrics()).matchAll(series)];
  return Object.fromEntries(found.map(([, kind, value]) => [kind, Number(value)]));
}

async function costCounted(gateway: TestGateway, model: string): Promise<number> {
  const series = new RegExp(`^spillway_cost_usd_total\\{[^}]*model="${model}"[^}]*\\} (\\S+)$`, 'm');
  return Number(series.exec(await gateway.metrics())?.[1]);
}

for (const adapter of ADAPTERS) {
  describe(`what ${adapter} reports`, () => {
    for (const client of CLIENTS) {
      it(`is what a client of ${client} is told, what is logged, counted and booked, streamed or not`, async (t) => {
        const { gateway, upstreams } = await startStage(t);
        upstreams[adapter].reply((request) => answerTo(request, SAYING));
        const usage = reportedBy(speechFor(adapter, client), COUNTS);
        const cost = costOf(usage);
        const heard: Heard[] = [];
        for (const streaming of [false, true]) heard.push(await ask(gateway, client, adapter, streaming));

        const [request] = upstreams[adapter].requests;
        assert.equal(speechOf(request?.path ?? ''), speechFor(adapter, client));
        for (const [at, one] of heard.entries()) {
          assert.equal(one.text, 'Rather not.');
          assert.deepEqual(
            one.calls.map(({ name, arguments: args }) => [name, args]),
            [['look_up', { city: 'Ulm' }]],
          );
          assert.deepEqual(one.usage, toldTo(client, at === 1, usage, adapter));
        }
        const [whole, streamed] = heard;
        assert.equal(whole?.headers.get('x-spillway-cost'), dollars(cost));
        if (client === 'chat') assert.equal(streamed?.cost, cost / NANODOLLARS);

        const lines = await gateway.ended(2);
        for (const line of lines) {
          assert.deepEqual(line.tokens, logged(usage));
          assert.equal(line.cost_usd, cost / NANODOLLARS);
          assert.equal(line.outcome, 'ok');
        }
        assert.equal(lines[0]?.cache_saved_usd, lines[1]?.cache_saved_usd);

        const twice = Object.entries({
          input: usage.input,
          output: usage.output,
          cached: usage.cached,
          cache_write: usage.cacheWrite,
          reasoning: usage.reasoning,
        }).map(([kind, count]) => [kind, 2 * count]);
        const kinds = await counted(gateway, adapter);
        for (const [kind, count] of twice) assert.equal(kinds[kind as string] ?? 0, count, String(kind));
        const dollarsCounted = await costCounted(gateway, adapter);
        assert.ok(Math.abs(dollarsCounted - (2 * cost) / NANODOLLARS) < 1e-12, String(dollarsCounted));

        const row = await booked(gateway, adapter);
        assert.deepEqual(
          [row['input_tokens'], row['output_tokens'], row['cached_tokens'], row['cache_write_tokens']],
          [2 * usage.input, 2 * usage.output, 2 * usage.cached, 2 * usage.cacheWrite],
        );
        assert.equal(row['reasoning_tokens'], 2 * usage.reasoning);
        assert.equal(row['cost_usd'], (2 * cost) / NANODOLLARS);
        assert.equal(row['requests'], 2);
      });
    }
  });
}

describe('what a provider’s own numbers mean', () => {
  it('is read field by field', () => {
    // 1000 fresh, 400 read, 200 written for five minutes and 100 for an hour; 300 of answer and 120 of thoughts.
    const all = { input: 1700, output: 420, cached: 400, cacheWrite: 300, reasoning: 120 };
    assert.deepEqual(reportedBy('chat', COUNTS), all);
    assert.deepEqual(reportedBy('messages', COUNTS), { ...all, cacheWriteHour: 100 });
    assert.deepEqual(reportedBy('converse', COUNTS), { ...all, cacheWriteHour: 100, reasoning: 0 });
    assert.deepEqual(reportedBy('gemini', COUNTS), { ...all, cacheWrite: 0 });
    assert.equal(costOf(reportedBy('messages', COUNTS)), 3_000_000 + 120_000 + 750_000 + 600_000 + 6_300_000);
  });
});
