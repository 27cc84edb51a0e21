/** Keys of providers never reach a client, the log, metrics or the admin listener; those of clients never reach a provider. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonObject } from '../../src/core/json.ts';
import { exception } from '../providers/bedrock/rig.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { until } from '../support/rig.ts';
import { named, plain, type Script } from '../support/upstream.ts';
import { anthropicSdk, bodyOf, CLIENT_KEY, CLIENTS, openaiSdk, post } from './clients.ts';
import { ADAPTERS } from './loop.ts';
import { COUNTS, type Saying, type Speech } from './saying.ts';
import { answerTo, speechOf, streamEvents, streamOf } from './speech.ts';
import { KEYS, type Stage, startStage } from './stage.ts';

const HELLO: Saying = { text: ['Hello', ' there'], counts: COUNTS };

/** An error of that provider's, as a whole body. */
function errorBody(speech: Speech, message: string, status: number): JsonObject {
  switch (speech) {
    case 'chat':
    case 'responses':
      return { error: { message, type: 'invalid_request_error', param: null, code: null } };
    case 'messages':
      return { type: 'error', error: { type: 'invalid_request_error', message }, request_id: 'req_1' };
    case 'converse':
      return { message };
    case 'gemini':
      return { error: { code: status, message, status: 'INVALID_ARGUMENT' } };
  }
}

/** The same in the middle of a stream. */
function errorEvent(speech: Speech, message: string): Buffer | string {
  switch (speech) {
    case 'messages':
      return named('error', { type: 'error', error: { type: 'api_error', message } });
    case 'responses':
      return named('error', {
        type: 'error',
        code: 'server_error',
        message,
        param: null,
        sequence_number: 9,
      });
    case 'converse':
      return exception('internalServerException', { message });
    default:
      return `data: ${JSON.stringify({ error: { message, code: 500, status: 'INTERNAL' } })}`;
  }
}

/** All that anyone outside of the gateway may see of it. */
async function everythingOf({ gateway }: Stage): Promise<string> {
  const admin = ['/metrics', '/admin/upstreams', '/admin/usage?by=tenant,model,target'];
  const pages = await Promise.all(admin.map(async (path) => (await fetch(`${gateway.admin}${path}`)).text()));
  return [JSON.stringify(gateway.requests), JSON.stringify(gateway.logs), ...pages].join('\n');
}

function seen(answer: Response, text: string): string {
  return `${text}\n${JSON.stringify([...answer.headers])}`;
}

for (const adapter of ADAPTERS) {
  describe(`the key of ${adapter}`, () => {
    const key = KEYS[adapter];
    const quoted = `Invalid key ${key}, or "${encodeURIComponent(key)}": not authorized`;

    for (const client of CLIENTS) {
      it(`that is quoted in an error stays here: ${client}`, async (t) => {
        const statuses = [400, 401, 402, 403, 404, 429, 500, 503];
        const models = Object.fromEntries(
          [0, 1].flatMap((way) =>
            statuses.map((status) => [
              `m-${status}-${way}`,
              { provider: adapter, model: `up-${status}-${way}` },
            ]),
          ),
        );
        const clock = new ManualClock(1000);
        const log = { level: 'debug', request_bodies: true };
        const stage = await startStage(t, { models, clock, config: { log } });
        const upstream = stage.upstreams[adapter];
        upstream.reply((request) => {
          const status = Number(/up-(\d+)/.exec(`${request.path} ${request.body}`)?.[1]);
          const json = errorBody(speechOf(request.path), quoted, status);
          return plain({ status, json, headers: { 'x-echo': key } });
        });
        for (const model of Object.keys(models)) {
          const stream = model.endsWith('1');
          const answer = await post(stage.gateway, client, bodyOf(client, model, { stream }));
          const text = seen(answer, await answer.text());
          assert.ok(!text.includes(key), text);
          if (model.includes('400')) assert.match(text, /\[redacted\]/);
          // A key that was refused, or a host that is busy, is left alone for a while.
          clock.advance(600_000);
        }
        // A host that answers 404 to responses is asked for a chat as well.
        assert.ok(upstream.requests.length >= 2 * statuses.length);
        assert.ok(!(await everythingOf(stage)).includes(key));
      });
    }

    it('that is quoted in the middle of a stream stays here', async (t) => {
      const stage = await startStage(t, { config: { log: { level: 'debug', request_bodies: true } } });
      for (const client of CLIENTS) {
        stage.upstreams[adapter].enqueue((exchange) => {
          const speech = speechOf(exchange.request.path);
          const events = streamEvents(speech, HELLO);
          const begun = events.slice(0, events.findIndex((event) => event.includes('Hello')) + 1);
          return run(streamOf(speech, [...begun, errorEvent(speech, quoted)]), exchange);
        });
        const answer = await post(stage.gateway, client, bodyOf(client, adapter, { stream: true }));
        const text = seen(answer, await answer.text());
        assert.match(text, /Hello/);
        assert.match(text, /\[redacted\]/);
        assert.ok(!text.includes(key), text);
      }
      assert.ok(!(await everythingOf(stage)).includes(key));
    });

    it('is all that the provider is shown: nothing of the client’s key, however it was sent', async (t) => {
      const stage = await startStage(t);
      const upstream = stage.upstreams[adapter];
      upstream.reply((request) => answerTo(request, HELLO));
      await openaiSdk(stage.gateway).chat.completions.create(bodyOf('chat', adapter) as never);
      await openaiSdk(stage.gateway).responses.create(bodyOf('responses', adapter) as never);
      await anthropicSdk(stage.gateway).messages.create(bodyOf('messages', adapter) as never);
      for (const client of CLIENTS) {
        for (const headers of [
          { authorization: `Bearer ${CLIENT_KEY}` },
          { 'x-api-key': CLIENT_KEY },
          { authorization: `Bearer ${CLIENT_KEY}`, 'x-api-key': CLIENT_KEY },
          { 'api-key': CLIENT_KEY, 'x-goog-api-key': CLIENT_KEY, cookie: `key=${CLIENT_KEY}` },
        ]) {
          const answer = await post(stage.gateway, client, bodyOf(client, adapter), { headers });
          await answer.text();
        }
      }
      await until(() => upstream.requests.length === 15);
      for (const { rawHeaders, path, body } of upstream.requests) {
        const sent = JSON.stringify([rawHeaders, path, body.toString()]);
        assert.ok(!sent.includes(CLIENT_KEY), sent);
        assert.equal(sent.split(key).length, 2, 'the provider’s own, once');
      }
      assert.ok(!(await everythingOf(stage)).includes(CLIENT_KEY));
    });
  });
}

async function run(script: Script, exchange: Parameters<Extract<Script, (...all: never[]) => unknown>>[0]) {
  if (typeof script === 'function') await script(exchange);
  else for (const step of script) await run(step, exchange);
}

describe('a client’s key, where keys are asked for', () => {
  it('opens in either header, and is not in what is said of a wrong one', async (t) => {
    const tenants = [{ id: 'acme', keys: [{ id: 'ci', key: CLIENT_KEY }] }];
    const stage = await startStage(t, { config: { auth: 'keys', tenants } });
    stage.upstreams.anthropic.reply((request) => answerTo(request, HELLO));
    for (const client of CLIENTS) {
      for (const headers of [{ authorization: `Bearer ${CLIENT_KEY}` }, { 'x-api-key': CLIENT_KEY }]) {
        const answer = await post(stage.gateway, client, bodyOf(client, 'anthropic'), {
          headers: headers as Record<string, string>,
        });
        const isOpen = answer.status === 200;
        assert.ok(isOpen || (client !== 'messages' && 'x-api-key' in headers), await answer.text());
        const wrong = Object.fromEntries(
          Object.entries(headers).map(([name, value]) => [name, `${value}-not`]),
        );
        const refused = await post(stage.gateway, client, bodyOf(client, 'anthropic'), { headers: wrong });
        const text = seen(refused, await refused.text());
        assert.equal(refused.status, 401);
        assert.ok(!text.includes(CLIENT_KEY), text);
      }
    }
    for (const { rawHeaders } of stage.upstreams.anthropic.requests) {
      assert.ok(!JSON.stringify(rawHeaders).includes(CLIENT_KEY));
    }
    assert.ok(!(await everythingOf(stage)).includes(CLIENT_KEY));
  });
});
