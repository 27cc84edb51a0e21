/** Upstreams that send whatever comes to mind, in each provider's words: what clients get of it is well-formed, whole where it says so, and ends. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isJsonObject, type Json, type JsonObject } from '../../src/core/json.ts';
import { SseDecoder } from '../../src/sse/decoder.ts';
import { codec, exception, frameWith } from '../providers/bedrock/rig.ts';
import { bodyOf, CLIENTS, type Client, eventsOf, type Had, post, readStream } from './clients.ts';
import type { AdapterName } from './loop.ts';
import type { Saying, Speech } from './saying.ts';
import { speechOf, streamEvents, streamOf } from './speech.ts';
import { startStage } from './stage.ts';

const RUNS = 50;

/** An event as it can be changed: its type, and its data as text. */
interface Event {
  type: string;
  data: string;
}

function unpack(speech: Speech, events: readonly Buffer[]): Event[] {
  if (speech === 'converse') {
    return events.map((bytes) => {
      const { headers, body } = codec.decode(bytes);
      return { type: String(headers[':event-type']?.value), data: Buffer.from(body).toString() };
    });
  }
  const found: Event[] = [];
  const decoder = new SseDecoder({ event: (data, type) => found.push({ type, data }) }, 1 << 24);
  for (const bytes of events) decoder.push(bytes);
  decoder.end();
  return found;
}

function pack(speech: Speech, { type, data }: Event): Buffer {
  if (speech !== 'converse') return Buffer.from(`${type === '' ? '' : `event: ${type}\n`}data: ${data}\n\n`);
  if (type === 'error') return exception('internalServerException', { message: 'It fell over' });
  return frameWith({ ':event-type': type, ':message-type': 'event' }, data);
}

/** Does this event say that the answer is at its end? */
function isStop(speech: Speech, { type, data }: Event): boolean {
  switch (speech) {
    case 'chat':
      return /"finish_reason":[^n]/.test(data);
    case 'responses':
      return /"type":"response\.(?:completed|incomplete)"/.test(data);
    case 'messages':
      return type === 'message_delta' && /"stop_reason":[^n]/.test(data);
    case 'converse':
      return type === 'messageStop';
    case 'gemini':
      return /"finishReason":|"blockReason":/.test(data);
  }
}

// ------------------------------------------------------------------------------------------------------------- what is said

const text = fc.string({ unit: 'grapheme', maxLength: 12 });

/** JSON text of an object, in pieces. */
const argumentsText = fc
  .tuple(
    fc.dictionary(text, fc.jsonValue({ maxDepth: 2 }), { maxKeys: 3 }),
    fc.array(fc.nat(40), { maxLength: 4 }),
  )
  .map(([value, cuts]) => {
    const whole = JSON.stringify(value);
    const ends = [...new Set(cuts)].filter((cut) => cut < whole.length).sort((a, b) => a - b);
    return [...ends, whole.length].map((end, index) => whole.slice(ends[index - 1] ?? 0, end));
  });

const saying: fc.Arbitrary<Saying> = fc.record({
  thoughts: fc.array(text, { maxLength: 2 }),
  text: fc.array(
    text.map((piece) => `${piece}.`),
    { minLength: 1, maxLength: 4 },
  ),
  calls: fc
    .array(argumentsText, { maxLength: 3 })
    .map((all) =>
      all.map((pieces, index) => ({ id: `call_${index}`, name: `f${index}`, arguments: pieces })),
    ),
  counts: fc.constant({ fresh: 9, cached: 0, written: 0, writtenForHour: 0, answer: 5, thoughts: 0 }),
});

// -------------------------------------------------------------------------------------------------------- what goes wrong

/** `at`: a share of the way through. */
type Fault = { at: number } /** Something beside it that is no part of an answer, before it. */ & (
  | { kind: 'beside'; event: Event }
  /** Its text is cut, so that it is no JSON. `ofCalls`: only if it holds a piece of a call's arguments. */
  | { kind: 'damaged'; share: number; ofCalls?: true }
  | { kind: 'lost' }
  | { kind: 'twice' }
  | { kind: 'ends' }
  /** One value within it becomes this. */
  | { kind: 'other'; place: number; value: Json }
);

const at = fc.nat(999).map((thousandths) => thousandths / 1000);
const beside = fc.constantFrom<Event>(
  { type: 'ping', data: '{"type":"ping"}' },
  { type: 'news', data: '{"type":"news","index":0,"delta":{}}' },
);
const ping: fc.Arbitrary<Fault> = fc.record({
  kind: fc.constant('beside'),
  at,
  event: fc.constant<Event>({ type: 'ping', data: '{"type":"ping"}' }),
});
const harmless: fc.Arbitrary<Fault> = fc.record({ kind: fc.constant('beside'), at, event: beside });
const ending: fc.Arbitrary<Fault> = fc.oneof(
  fc.record({ kind: fc.constant('ends'), at }),
  fc.record({
    kind: fc.constant('beside'),
    at,
    event: fc.constantFrom<Event>(
      { type: '', data: '{"cut' },
      { type: '', data: 'Bad gateway' },
      { type: 'error', data: '{"type":"error","error":{"type":"api_error","message":"It fell over"}}' },
    ),
  }),
);
const damaging: fc.Arbitrary<Fault> = fc.oneof(
  harmless,
  ending,
  fc.record({ kind: fc.constant('damaged'), at, share: at }),
);
/** What is relayed is the host's own: what is JSON and of the right kind goes on as it is, whatever was lost between. */
const ofRelayed: fc.Arbitrary<Fault> = fc.oneof(
  ping,
  ending,
  fc.record({ kind: fc.constant('damaged'), at, share: at, ofCalls: fc.constant(true as const) }),
);
const junk = fc.oneof(
  fc.constantFrom<Json>(null, '', -1, 1e300, 0.5, [], {}, [null], { ['__proto__']: 1 }, true, 'x'),
  fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<Json>,
);
const anything: fc.Arbitrary<Fault> = fc.oneof(
  damaging,
  fc.record({ kind: fc.constantFrom('lost', 'twice'), at }),
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('other'), at, place: fc.nat(60), value: junk }) },
);

function put(events: readonly Event[], faults: readonly Fault[]): Event[] {
  let all = [...events];
  for (const fault of faults) {
    const index = Math.floor(fault.at * all.length);
    const event = all[index];
    if (event === undefined) return all;
    switch (fault.kind) {
      case 'beside':
        all.splice(index, 0, fault.event);
        break;
      case 'damaged':
        if (fault.ofCalls && !/"partial_json":"[^"]|"arguments":"[^"]|arguments\.delta/.test(event.data))
          break;
        all[index] = {
          ...event,
          data: event.data.slice(0, 1 + Math.floor(fault.share * (event.data.length - 1))),
        };
        break;
      case 'lost':
        all.splice(index, 1);
        break;
      case 'twice':
        all.splice(index, 0, event);
        break;
      case 'ends':
        all = all.slice(0, index);
        break;
      case 'other':
        all[index] = { ...event, data: changed(event.data, fault.place, fault.value) };
    }
  }
  return all;
}

/** The same JSON, one of its values another. */
function changed(data: string, place: number, value: Json): string {
  let left = place;
  const visit = (json: Json): Json => {
    if (left-- === 0) return value;
    if (Array.isArray(json)) return json.map(visit);
    if (!isJsonObject(json)) return json;
    return Object.fromEntries(Object.entries(json).map(([name, inner]) => [name, visit(inner as Json)]));
  };
  try {
    return JSON.stringify(visit(JSON.parse(data) as JsonObject));
  } catch {
    return data;
  }
}

// ------------------------------------------------------------------------------------------------------------ what is had

/**
 * Of an answer whose events were only added to, damaged or cut off: each call that the client has is the beginning of one, or all of it where the
 * answer is said to be whole. A call all of whose events were damaged while no other was open may be missing, since such events are dropped: Google's is one
 * event altogether. OpenAI's chunks are numbered, so that it is noticed there.
 */
function holdsTo(said: Saying, had: Had, speech: Speech): void {
  const calls = [...(said.calls ?? [])];
  for (const [index, args] of had.arguments.entries()) {
    const name = had.names[index];
    while (speech !== 'chat' && calls.length > 0 && calls[0]?.name !== name) calls.shift();
    const call = calls.shift();
    assert.equal(call?.name, name);
    if (call === undefined) return;
    const whole = call.arguments.join('');
    // Google's calls come as values: the same, in letters of our own.
    if (had.end === 'finish') assert.deepEqual(JSON.parse(args), JSON.parse(whole));
    else assert.ok(whole.startsWith(args) || JSON.stringify(JSON.parse(whole)).startsWith(args));
  }
}

async function fuzz(
  t: import('node:test').TestContext,
  adapter: AdapterName,
  client: Client,
  fault: fc.Arbitrary<Fault>,
  check: (said: Saying, had: Had, speech: Speech) => void,
): Promise<void> {
  const { gateway, upstreams } = await startStage(t);
  let sent: Event[] = [];
  let now: { said: Saying; faults: Fault[] } | null = null;
  upstreams[adapter].reply(({ path }) => {
    const speech = speechOf(path);
    assert.ok(now);
    sent = put(unpack(speech, streamEvents(speech, now.said)), now.faults);
    return streamOf(
      speech,
      sent.map((event) => pack(speech, event)),
    );
  });
  await fc.assert(
    fc.asyncProperty(saying, fc.array(fault, { maxLength: 4 }), async (said, faults) => {
      now = { said, faults };
      const answer = await post(gateway, client, bodyOf(client, adapter, { stream: true }));
      const text = await answer.text();
      if (answer.status !== 200) {
        assert.equal(typeof (JSON.parse(text) as { error: { message: string } }).error.message, 'string');
        return;
      }
      const had = readStream(client, eventsOf(text));
      const speech = speechOf(upstreams[adapter].requests.at(-1)?.path ?? '');
      if (had.end === 'finish')
        assert.ok(
          sent.some((event) => isStop(speech, event)),
          'a finish came',
        );
      check(said, had, speech);
    }),
    { numRuns: RUNS },
  );
  const mistakes = gateway.logs.filter(({ message }) => message === 'a mistake of the gateway');
  assert.deepEqual(mistakes, []);
}

for (const adapter of ['openai', 'anthropic', 'bedrock', 'gemini'] as const) {
  for (const client of CLIENTS) {
    const isRelayed =
      adapter === 'openai' ? client !== 'messages' : adapter === 'anthropic' && client === 'messages';

    describe(`${client} before ${adapter}`, () => {
      it('gets all of an answer beside which something else stands', async (t) => {
        await fuzz(t, adapter, client, isRelayed ? ping : harmless, (said, had, speech) => {
          assert.equal(had.end, 'finish');
          assert.equal(had.text, (said.text ?? []).join(''));
          assert.equal(had.arguments.length, said.calls?.length);
          holdsTo(said, had, speech);
        });
      });

      it('gets no arguments with a piece missing, and no finish that did not come', async (t) => {
        await fuzz(t, adapter, client, isRelayed ? ofRelayed : damaging, holdsTo);
      });

      if (isRelayed) return;
      it('gets nothing that is not well-formed', async (t) => {
        await fuzz(t, adapter, client, anything, () => {});
      });
    });
  }
}
