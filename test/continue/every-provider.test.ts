/** A stream of each provider that breaks, gone on with by each other one, for each kind of client. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isJsonObject, type Json, type JsonObject } from '../../src/core/json.ts';
import { bodyOf, CLIENTS, type Client, eventsOf, post, readStream } from '../native/clients.ts';
import { ADAPTERS, MODELS } from '../native/loop.ts';
import type { Saying } from '../native/saying.ts';
import { speechOf, streamEvents, streamOf } from '../native/speech.ts';
import { startStage } from '../native/stage.ts';
import { close, type Exchange, type Script, type UpstreamRequest } from '../support/upstream.ts';
import { TOKENS, WHOLE } from './kit.ts';

const COUNTS = { fresh: 50, cached: 0, written: 0, writtenForHour: 0, answer: 20, thoughts: 0 };

function saying(from: string): Saying {
  // In pieces of its own: another model's tokens are others.
  const rest = WHOLE.slice(from.length);
  return { text: rest.match(/[\s\S]{1,7}/gu) ?? [''], counts: COUNTS };
}

/** The text that the conversation ends with, if it is the assistant's: as any of the providers is told it. */
function beginning({ body }: UpstreamRequest): string {
  const request = JSON.parse(body.toString()) as JsonObject;
  const last = ((request['messages'] ?? request['contents']) as JsonObject[]).at(-1) ?? {};
  if (last['role'] !== 'assistant' && last['role'] !== 'model') return '';
  const content = (last['content'] ?? last['parts']) as Json;
  if (typeof content === 'string') return content;
  return (content as Json[]).map((part) => (isJsonObject(part) ? String(part['text'] ?? '') : '')).join('');
}

const FIRST: Saying = { text: TOKENS, counts: COUNTS };

for (const how of ['again', 'prefill'] as const) {
  describe(`gone on with by ${how === 'again' ? 'asking for all of it again' : 'giving what was told'}`, () => {
    for (const first of ADAPTERS) {
      it(`${first}, then each of the others`, async (t) => {
        const models = Object.fromEntries(
          ADAPTERS.map((second) => [
            `${first}-and-${second}`,
            {
              strategy: { mode: 'fallback' },
              targets: [
                { provider: first, model: MODELS[first] },
                { provider: second, model: MODELS[second], prefill: how === 'prefill' },
              ],
            },
          ]),
        );
        const { gateway, upstreams } = await startStage(t, {
          models,
          config: {
            defaults: {
              mid_stream: 'continue',
              retry: { attempts: 0 },
              breaker: { consecutive_failures: 10_000, min_requests: 10_000 },
            },
          },
        });
        for (const second of ADAPTERS) {
          if (second === first) continue;
          upstreams[second].reply((request) => {
            const speech = speechOf(request.path);
            return streamOf(speech, [
              Buffer.concat(streamEvents(speech, saying(beginning(request)), 'other')),
            ]);
          });
          for (const client of CLIENTS) {
            let answered = 0;
            for (let events = 1; ; events++) {
              let length = 0;
              upstreams[first].enqueue((exchange) => {
                const speech = speechOf(exchange.request.path);
                const all = streamEvents(speech, FIRST, 'm');
                length = all.length;
                return run(streamOf(speech, [Buffer.concat(all.slice(0, events)), close()]), exchange);
              });
              const before = upstreams[second].requests.length;
              const answer = await post(
                gateway,
                client,
                bodyOf(client, `${first}-and-${second}`, { stream: true }),
              );
              const text = await answer.text();
              const where = `${first} then ${second}, ${client}, cut after ${events}: ${text}`;
              assert.equal(answer.status, 200, where);
              const had = readStream(client, eventsOf(text));
              assert.equal(had.text, WHOLE, where);
              assert.equal(had.end, 'finish', where);
              checkOne(client, text, where);
              if (upstreams[second].requests.length > before) answered++;
              if (events >= length) break;
            }
            assert.ok(answered > TOKENS.length / 2);
          }
        }
      });
    }
  });
}

async function run(what: Script, exchange: Exchange): Promise<void> {
  if (typeof what === 'function') await what(exchange);
  else for (const step of what) await run(step, exchange);
}

/** One id, one usage that adds up. */
function checkOne(client: Client, text: string, where: string): void {
  const events = eventsOf(text);
  if (client === 'chat') {
    const ids = new Set(
      events.flatMap(({ data }) => (data === null ? [] : [`${data['id']} ${data['model']}`])),
    );
    assert.equal(ids.size, 1, where);
  }
}
