/** Targets that speak a client's dialect themselves: what they stream can only be gone on with if it is put into words here. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { bodyOf, eventsOf, post, readStream } from '../native/clients.ts';
import { COUNTS, type Saying } from '../native/saying.ts';
import { speechOf, streamEvents, streamOf } from '../native/speech.ts';
import { type Stage, startStage } from '../native/stage.ts';
import { close, type Exchange, type Script } from '../support/upstream.ts';
import { TOKENS, WHOLE } from './kit.ts';

const SAYING: Saying = { text: TOKENS, counts: COUNTS };

async function stage(t: TestContext): Promise<Stage> {
  const started = await startStage(t, {
    config: { defaults: { mid_stream: 'continue', retry: { attempts: 0 } } },
  });
  const broken = (exchange: Exchange) => {
    const events = streamEvents(speechOf(exchange.request.path), SAYING, 'm');
    return streamOf(speechOf(exchange.request.path), [Buffer.concat(events.slice(0, -6)), close()]);
  };
  for (const name of ['openai', 'anthropic'] as const)
    started.upstreams[name].reply(() => (exchange) => run(broken(exchange), exchange));
  started.upstreams.gemini.reply(({ path }) => {
    const speech = speechOf(path);
    return streamOf(speech, [Buffer.concat(streamEvents(speech, SAYING, 'm'))]);
  });
  return started;
}

async function run(what: Script, exchange: Exchange): Promise<void> {
  if (typeof what === 'function') await what(exchange);
  else for (const step of what) await run(step, exchange);
}

interface Asked {
  path: string;
  end: 'finish' | 'error';
  text: string;
}

/** How the target that speaks the dialect was asked, and what the client has then. */
async function asked(
  t: TestContext,
  client: 'messages' | 'responses',
  more: object,
  headers: Record<string, string> = {},
): Promise<Asked> {
  const { gateway, upstreams } = await stage(t);
  const own = client === 'messages' ? 'anthropic' : 'openai';
  const body = bodyOf(client, `${own}-then-gemini`, { stream: true, ...more });
  const answer = await post(gateway, client, body, { headers });
  assert.equal(answer.status, 200);
  const { end, text } = readStream(client, eventsOf(await answer.text()));
  return { path: upstreams[own].requests[0]?.path ?? '', end, text };
}

describe("a target that speaks OpenAI's responses", () => {
  it('is asked for a chat where nothing is lost, and what breaks is gone on with', async (t) => {
    assert.deepEqual(await asked(t, 'responses', { store: false }), {
      path: '/v1/chat/completions',
      end: 'finish',
      text: WHOLE,
    });
  });

  const TIED: Record<string, object> = {
    'the answer is to be kept there, as it is unless that is declined': { store: undefined },
    'the answer is to be kept there': { store: true },
    'summaries of thoughts are asked for': { reasoning: { summary: 'auto' } },
    'thoughts are asked for in a form that only it reads': { include: ['reasoning.encrypted_content'] },
    'a tool of its own is to be used': { tools: [{ type: 'web_search' }] },
    'it is to cut what is too long': { truncation: 'auto' },
  };
  for (const [why, more] of Object.entries(TIED)) {
    it(`is asked for responses where ${why}, and what breaks ends in an error`, async (t) => {
      const { path, end, text } = await asked(t, 'responses', more);
      assert.equal(path, '/v1/responses');
      assert.equal(end, 'error');
      assert.ok(WHOLE.startsWith(text) && text !== '');
    });
  }
});

describe("a target that speaks Anthropic's messages", () => {
  it('streams what is put into words here, and what breaks is gone on with', async (t) => {
    assert.deepEqual(await asked(t, 'messages', {}), { path: '/v1/messages', end: 'finish', text: WHOLE });
  });

  it('streams its own words where a beta is asked for, or what a chat has not', async (t) => {
    assert.equal((await asked(t, 'messages', {}, { 'anthropic-beta': 'x-2026-01-01' })).end, 'error');
    assert.equal((await asked(t, 'messages', { context_management: { edits: [] } })).end, 'error');
    assert.equal((await asked(t, 'messages', { container: 'c' })).end, 'error');
    assert.equal((await asked(t, 'messages', { stop_sequences: ['END'] })).end, 'error');
  });

  it('is asked so that what breaks is gone on with where the list of stop sequences is empty', async (t) => {
    assert.equal((await asked(t, 'messages', { stop_sequences: [] })).text, WHOLE);
  });

  /** How an answer that does not break is told to have ended: `stop` is what the target says of it. */
  async function ended(t: TestContext, stop: string, more: object): Promise<string> {
    const { gateway, upstreams } = await stage(t);
    const events = Buffer.concat(streamEvents('messages', SAYING, 'm')).toString();
    const told = events.replace('"stop_reason":"end_turn","stop_sequence":null', stop);
    assert.notEqual(told, events);
    upstreams.anthropic.reply(() => streamOf('messages', [Buffer.from(told)]));
    const body = bodyOf('messages', 'anthropic-then-gemini', { stream: true, ...more });
    return (await post(gateway, 'messages', body)).text();
  }

  it('names the stop sequence that ended its answer', async (t) => {
    const stop = '"stop_reason":"stop_sequence","stop_sequence":"END"';
    assert.ok((await ended(t, stop, { stop_sequences: ['END'] })).includes(stop));
  });

  it('is told to have ended at the limit of tokens where its context was full', async (t) => {
    const stop = '"stop_reason":"model_context_window_exceeded","stop_sequence":null';
    const told = '"stop_reason":"max_tokens","stop_sequence":null';
    assert.ok((await ended(t, stop, {})).includes(told));
  });
});
