/** What only one provider does, through the whole gateway and for each kind of client. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ASYNC_FILTER, FILTER_ERROR, TEXT } from '../providers/azure/recorded.ts';
import { exception, frames } from '../providers/bedrock/rig.ts';
import { Gate, named, pauseUntil, plain, type StreamItem } from '../support/upstream.ts';
import { ask, bodyOf, CLIENTS, eventsOf, post, readStream } from './clients.ts';
import { COUNTS, type Saying } from './saying.ts';
import { answerTo, streamEvents, streamOf } from './speech.ts';
import { startStage } from './stage.ts';

const HELLO: Saying = { text: ['Hello', ' there'], counts: COUNTS };

describe('an error of Anthropic’s as the first event after status 200', () => {
  const PING = named('ping', { type: 'ping' });
  const errors = {
    overloaded_error: ['overloaded', 529],
    rate_limit_error: ['rate_limited', 429],
    api_error: ['server_error', 500],
  } as const;
  for (const client of CLIENTS) {
    for (const [type, [outcome, status]] of Object.entries(errors)) {
      it(`is a failure like any other, behind pings too: ${type} for ${client}`, async (t) => {
        const { gateway, upstreams } = await startStage(t);
        const error = { type: 'error', error: { type, message: 'Not now' }, request_id: 'req_1' };
        upstreams.anthropic.enqueue(streamOf('messages', [PING, ': comment', PING, named('error', error)]));
        // Where there is no room for a stream, it is asked once more, for the whole answer.
        upstreams.anthropic.reply(() => plain({ status, json: error }));
        const tries = outcome === 'overloaded' ? 2 : 1;
        upstreams.openai.reply((request) => answerTo(request, HELLO));
        assert.equal((await ask(gateway, client, 'anthropic-then-openai', true)).text, 'Hello there');
        const [line] = await gateway.ended(1);
        assert.deepEqual(
          line?.tries.map((one) => [one.target.split('/')[0], one.outcome, one.status]),
          [...new Array(tries).fill(['anthropic', outcome, status]), ['openai', 'ok', 200]],
        );
      });
    }

    it(`after the beginning, before any content, is one too: for ${client}`, async (t) => {
      const { gateway, upstreams } = await startStage(t);
      const [start] = streamEvents('messages', HELLO);
      const error = { type: 'error', error: { type: 'overloaded_error', message: 'Not now' } };
      upstreams.anthropic.enqueue(streamOf('messages', [start as Buffer, PING, named('error', error)]));
      upstreams.openai.reply((request) => answerTo(request, HELLO));
      assert.equal((await ask(gateway, client, 'anthropic-then-openai', true)).text, 'Hello there');
    });
  }
});

describe('the end of a stream of Bedrock’s', () => {
  for (const client of CLIENTS) {
    it(`is what comes after the stop, which is not held back for it: ${client}`, async (t) => {
      const { gateway, upstreams } = await startStage(t);
      const events = streamEvents('converse', HELLO);
      const gate = new Gate();
      const metadata = events.at(-1) as Buffer;
      upstreams.bedrock.enqueue(streamOf('converse', [...events.slice(0, -1), pauseUntil(gate), metadata]));
      const asked = ask(gateway, client, 'bedrock', true);
      await gate.reached();
      gate.open();
      const { usage, text } = await asked;
      assert.equal(text, 'Hello there');
      assert.deepEqual([usage.input, usage.output, usage.cached], [1700, 420, 400]);
    });

    it(`is known by its stop where no metadata comes: ${client}`, async (t) => {
      const { gateway, upstreams } = await startStage(t);
      upstreams.bedrock.enqueue(streamOf('converse', streamEvents('converse', HELLO).slice(0, -1)));
      const answer = await post(gateway, client, bodyOf(client, 'bedrock', { stream: true }));
      const had = readStream(client, eventsOf(await answer.text()));
      assert.deepEqual([had.text, had.end], ['Hello there', 'finish']);
      const [line] = await gateway.ended(1);
      assert.equal(line?.tokens?.estimated, true);
    });
  }
});

describe('an exception in a stream of Bedrock’s', () => {
  const exceptions = {
    throttlingException: ['rate_limited', 429],
    serviceUnavailableException: ['overloaded', 503],
    modelStreamErrorException: ['server_error', 424],
    internalServerException: ['server_error', 500],
  } as const;
  const BEGUN = frames([{ messageStart: { role: 'assistant' } }]);
  for (const client of CLIENTS) {
    for (const [name, [outcome, status]] of Object.entries(exceptions)) {
      it(`before the first content is a failure like any other: ${name} for ${client}`, async (t) => {
        const { gateway, upstreams } = await startStage(t);
        upstreams.bedrock.enqueue(streamOf('converse', [BEGUN, exception(name, { message: 'Not now' })]));
        upstreams.gemini.reply((request) => answerTo(request, HELLO));
        assert.equal((await ask(gateway, client, 'bedrock-then-gemini', true)).text, 'Hello there');
        const [line] = await gateway.ended(1);
        assert.deepEqual([line?.tries[0]?.outcome, line?.tries[0]?.status], [outcome, status]);
      });
    }

    it(`after it ends the stream with an error: ${client}`, async (t) => {
      const { gateway, upstreams } = await startStage(t);
      const events = streamEvents('converse', HELLO).slice(0, 2);
      const failed = exception('modelStreamErrorException', { message: 'It fell over' });
      upstreams.bedrock.enqueue(streamOf('converse', [...events, failed]));
      const answer = await post(gateway, client, bodyOf(client, 'bedrock-then-gemini', { stream: true }));
      const text = await answer.text();
      const had = readStream(client, eventsOf(text));
      assert.deepEqual([had.text, had.end], ['Hello', 'error']);
      assert.match(text, /It fell over/);
      assert.equal(upstreams.gemini.requests.length, 0);
    });
  }
});

describe('a stream of Azure’s', () => {
  // Its responses are its own; it is chats that its filters write into.
  for (const client of ['chat', 'messages'] as const) {
    it(`comes without its chunk of nothing, and whole in spite of its filters: ${client}`, async (t) => {
      const { gateway, upstreams } = await startStage(t);
      const items: StreamItem[] = [...TEXT.slice(0, 4), ASYNC_FILTER, ...TEXT.slice(4), 'data: [DONE]'];
      upstreams.azure.enqueue(streamOf('chat', items));
      const answer = await post(gateway, client, bodyOf(client, 'azure', { stream: true }));
      const events = eventsOf(await answer.text());
      const had = readStream(client, events);
      assert.deepEqual([had.text, had.end], ['Grüße aus Ulm.', 'finish']);
      const ids = events.flatMap(({ data }) => (client === 'chat' && data !== null ? [data['id']] : []));
      assert.ok(new Set(ids).size <= 1, 'all chunks have one id');
      const [line] = await gateway.ended(1);
      assert.deepEqual(line?.tokens, { input: 75, output: 20, cached: 64, reasoning: 8 });
    });

    it(`that its filter stops ends with an error: ${client}`, async (t) => {
      const { gateway, upstreams } = await startStage(t);
      upstreams.azure.enqueue(streamOf('chat', FILTER_ERROR));
      const answer = await post(gateway, client, bodyOf(client, 'azure', { stream: true }));
      const had = readStream(client, eventsOf(await answer.text()));
      assert.deepEqual([had.text, had.end], ['Take a', 'error']);
    });
  }
});
