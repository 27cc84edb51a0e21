/** A recorded stream of each provider, split at every byte and cut anywhere, through the whole gateway and for each kind of client. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { close, inPieces, type Script } from '../support/upstream.ts';
import { bodyOf, CLIENTS, type Client, eventsOf, type Had, post, readStream } from './clients.ts';
import { ADAPTERS, type AdapterName } from './loop.ts';
import type { Saying } from './saying.ts';
import { speechOf, streamEvents, streamOf } from './speech.ts';
import { type Stage, startStage } from './stage.ts';

const SAYING: Saying = {
  text: ['Grüße 🙂\n"q"'],
  calls: [{ id: 'c1', name: 'f', arguments: ['{"é', '":1}'] }],
  counts: { fresh: 9, cached: 0, written: 0, writtenForHour: 0, answer: 5, thoughts: 0 },
};

const WHOLE: Had = {
  text: 'Grüße 🙂\n"q"',
  reasoning: '',
  names: ['f'],
  arguments: ['{"é":1}'],
  end: 'finish',
};

/** Requests under way at a time. */
const AT_ONCE = 16;

/** What that client has of a stream; `place`: told to the stand-in by the only text of the request. */
async function had({ gateway }: Stage, adapter: AdapterName, client: Client, place: number): Promise<Had> {
  const question = [{ role: 'user', content: `place-${place}` }];
  const asked = client === 'responses' ? { input: question } : { messages: question };
  const answer = await post(gateway, client, bodyOf(client, adapter, { stream: true, ...asked }));
  const text = await answer.text();
  if (answer.status === 200) return readStream(client, eventsOf(text));
  // Nothing had come that could have been sent on.
  assert.equal(answer.status, 502, text);
  return { text: '', reasoning: '', arguments: [], names: [], end: 'error' };
}

/** A stage on which that provider's stream comes as `how` says at each place. */
async function recorded(
  t: TestContext,
  adapter: AdapterName,
  how: (
    events: readonly Buffer[],
    stream: (bytes: Buffer, ...then: Script[]) => Script,
    place: number,
  ) => Script,
): Promise<Stage> {
  const stage = await startStage(t);
  const known = new Map<string, Buffer[]>();
  stage.upstreams[adapter].reply(({ path, body }) => {
    const speech = speechOf(path);
    const place = Number(/place-(\d+)/.exec(body.toString())?.[1]);
    const stream = (bytes: Buffer, ...then: Script[]) =>
      streamOf(speech, [bytes, ...(then as Extract<Script, (...all: never[]) => unknown>[])]);
    const events = known.get(speech) ?? streamEvents(speech, SAYING, 'm');
    known.set(speech, events);
    return how(events, stream, place);
  });
  return stage;
}

/** Runs these one after the other, several at a time. */
async function all(jobs: readonly (() => Promise<void>)[]): Promise<void> {
  let next = 0;
  const run = async () => {
    for (let job = jobs[next++]; job !== undefined; job = jobs[next++]) await job();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, run));
}

function isBeginning(had: Had, where: string): void {
  assert.ok(WHOLE.text.startsWith(had.text), where);
  const [args = ''] = had.arguments;
  assert.ok(had.arguments.length <= 1 && WHOLE.arguments[0]?.startsWith(args), where);
  if (had.end === 'finish') assert.deepEqual(had, WHOLE, where);
}

/** Places just before, at and after the end of each event. */
function aroundEvents(events: readonly Buffer[]): number[] {
  let end = 0;
  return events.flatMap(({ length }) => {
    end += length;
    return [end - 1, end, end + 1];
  });
}

for (const adapter of ADAPTERS) {
  describe(`a stream of ${adapter}'s`, () => {
    for (const client of CLIENTS) {
      it(`in pieces of a byte or a few: ${client} gets the same`, async (t) => {
        const stage = await recorded(t, adapter, (events, stream, every) =>
          inPieces(stream(Buffer.concat(events)), { every }),
        );
        for (const every of [1, 3, 64]) assert.deepEqual(await had(stage, adapter, client, every), WHOLE);
        assert.equal(
          await stage.gateway.metric(`spillway_dropped_events_total{provider="${adapter}"}`),
          null,
        );
      });
    }

    it('that ends anywhere: its client has the beginning, and knows whether that is all', async (t) => {
      const lengths = new Map<string, number[]>();
      const stage = await recorded(t, adapter, (events, stream, place) => {
        const bytes = Buffer.concat(events);
        lengths.set('events', aroundEvents(events));
        const beginning = bytes.subarray(0, place);
        // Cut by the socket's end, or ended too early by the rules of HTTP.
        return place % 2 === 0 ? stream(beginning, close()) : stream(beginning);
      });
      const ends = new Set<string>();
      const cut = async (client: Client, place: number) => {
        const got = await had(stage, adapter, client, place);
        ends.add(got.end);
        isBeginning(got, `${client}, cut at ${place}`);
      };
      for (const client of CLIENTS) {
        await cut(client, 1_000_000);
        await all((lengths.get('events') ?? []).map((place) => () => cut(client, place)));
      }
      // Elsewhere, each place for one of the clients. Every byte is held by the adapters' own tests.
      const length = Math.max(...(lengths.get('events') ?? []));
      const step = adapter === 'azure' || adapter === 'vertex' ? 41 : 5;
      const places = Array.from({ length: Math.floor(length / step) }, (_, index) => index * step);
      await all(places.map((place) => () => cut(CLIENTS[(place / step) % 3] as Client, place)));
      assert.deepEqual(ends, new Set(['finish', 'error']));
    });
  });
}
