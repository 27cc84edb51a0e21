import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isJsonObject, type Json, type JsonObject } from '../../../src/core/json.ts';
import { Unsupported } from '../../../src/providers/adapter.ts';
import { anthropic } from '../../../src/providers/anthropic/adapter.ts';
import { MessageEventReader } from '../../../src/providers/anthropic/event-reader.ts';
import { accumulate, askFor, fixedFacts, plain, sentJson, Told, translate } from '../kit.ts';
import { eventStream, RECORDED, USER } from './kit.ts';

const prepared = anthropic.prepare(askFor({ model: 'any', messages: [USER] }, { streaming: true }));

const RECORDS = Object.values(RECORDED).map(({ events }) => events as unknown as JsonObject[]);

/** As its caller treats it: a damaged event in the middle of a call breaks the stream. */
class Caller extends Told {
  override invalid(): void {
    super.invalid();
    const deltas = this.chunks.flatMap(({ choices }) => choices as JsonObject[]);
    const isCalling = deltas.some(({ delta }) => 'tool_calls' in (delta as JsonObject));
    if (isCalling && !deltas.some(({ finish_reason: finish }) => finish !== null))
      this.breaks.push('damaged');
  }
}

function tell(bytes: Buffer): Told {
  return translate(prepared.answer(fixedFacts()).stream({}), [bytes], new Caller());
}

function callsIn(told: Told): Json {
  const [choice] = accumulate(told.chunks)['choices'] as { message: JsonObject }[];
  return choice?.message['tool_calls'] ?? null;
}

function finishes(told: Told): boolean {
  return told.chunks.some(({ choices }) =>
    (choices as JsonObject[]).some(({ finish_reason: finish }) => finish !== null),
  );
}

const json = fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<Json>;

/** A value that a member of an event may wrongly have: never a text, which might be taken for a good one. */
const wrong = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.constantFrom(-1, 1e300, 99),
  fc.array(json, { maxLength: 2 }),
  fc.constant({}),
);

/** What may come between the events of a good stream. */
const noise = fc.oneof(
  fc.constant({ type: 'ping' }),
  fc.record({ type: fc.constantFrom('thread_event', 'x') }),
  fc.record({ index: json, delta: json, type: wrong }),
  json.map((value) => ({ type: 7, value })),
);

/** Where in an event damage is done: one of its members, or of what it holds. */
const damage = fc.record({ at: fc.nat(), inner: fc.boolean(), member: fc.nat(), value: wrong });

function damaged(
  event: JsonObject,
  { inner, member, value }: { inner: boolean; member: number; value: Json },
): JsonObject {
  const holds = ['delta', 'content_block', 'message'].find((name) => isJsonObject(event[name]));
  if (inner && holds !== undefined) {
    const held = event[holds] as JsonObject;
    const names = Object.keys(held);
    return { ...event, [holds]: { ...held, [names[member % names.length] ?? 'type']: value } };
  }
  const names = Object.keys(event);
  return { ...event, [names[member % names.length] ?? 'type']: value };
}

describe('Random events of Anthropic’s', () => {
  it('never make a malformed chunk, nor a finish that did not come', () => {
    const known = fc.constantFrom(...RECORDS.flat());
    const events = fc.array(
      fc.oneof(
        known,
        noise,
        fc.tuple(known, damage).map(([event, what]) => damaged(event, what)),
      ),
      { maxLength: 25 },
    );
    fc.assert(
      fc.property(events, fc.boolean(), (list, cut) => {
        const bytes = eventStream(list);
        const told = tell(cut ? bytes.subarray(0, bytes.length - 5) : bytes);
        if (told.chunks.length > 0) accumulate(told.chunks);
        const ends = (list as JsonObject[]).some(({ type, delta }) => {
          const reason = isJsonObject(delta) ? delta['stop_reason'] : null;
          return type === 'message_delta' && typeof reason === 'string';
        });
        if (!ends) assert.ok(!finishes(told) && told.dones === 0);
        if (told.dones > 0) assert.ok(finishes(told));
      }),
      { numRuns: 1500 },
    );
  });

  it('lose no piece of a call: a stream that was damaged gives the same calls, or is broken', () => {
    const record = fc.constantFrom(...RECORDS);
    const insertions = fc.array(fc.record({ at: fc.nat(), event: noise }), { maxLength: 4 });
    fc.assert(
      fc.property(record, insertions, fc.array(damage, { maxLength: 2 }), (events, added, damages) => {
        const original = tell(eventStream(events));
        const list = [...events];
        for (const what of damages) {
          const at = what.at % list.length;
          const event = list[at] as JsonObject;
          // An id or a name that changed is another call; these are told as they come.
          const before = event['content_block'] as JsonObject | undefined;
          if (before?.['type'] !== 'tool_use') list[at] = damaged(event, what);
        }
        for (const { at, event } of added) list.splice(at % (list.length + 1), 0, event as JsonObject);
        const told = tell(eventStream(list));
        if (told.dones > 0) assert.deepEqual(callsIn(told), callsIn(original));
      }),
      { numRuns: 1500 },
    );
  });

  it('lose no piece of a call when the beginning of one is damaged', () => {
    const calls = RECORDED['thoughts and parallel calls'];
    assert.ok(calls !== undefined);
    const events = calls.events as unknown as JsonObject[];
    const starts = events.flatMap(({ content_block: block }, at) =>
      (block as JsonObject | undefined)?.['type'] === 'tool_use' ? [at] : [],
    );
    for (const at of starts) {
      for (const broken of ['{', JSON.stringify({ ...events[at], content_block: { type: 'tool_use' } })]) {
        const text = eventStream(events).toString().replace(JSON.stringify(events[at]), broken);
        assert.equal(tell(Buffer.from(text)).dones, 0);
      }
    }
  });

  it('never make a reader for relayed streams fail, nor finish without a reason to stop', () => {
    const any = fc.oneof(fc.constantFrom(...RECORDS.flat()), noise, fc.object({ maxDepth: 3 }));
    fc.assert(
      fc.property(fc.array(any, { maxLength: 20 }), fc.string(), (list, type) => {
        const reader = new MessageEventReader();
        for (const event of list) {
          const kind = reader.read(JSON.stringify(event), type === 'error' ? '' : type);
          assert.ok(reader.output.characters >= reader.output.reasoning);
          if (kind === 'error') assert.ok(reader.error !== null);
        }
        const ends = list.some((event) => (event as JsonObject)['type'] === 'message_delta');
        if (!ends) assert.equal(reader.finished, false);
      }),
      { numRuns: 1000 },
    );
  });

  it('never make a whole answer fail', () => {
    const content = fc.array(
      fc.oneof(
        json,
        fc.record({
          type: fc.constantFrom('text', 'tool_use', 'thinking', 'x'),
          text: json,
          input: json,
          name: json,
        }),
      ),
    );
    fc.assert(
      fc.property(content, json, json, (blocks, reason, usage) => {
        for (const dialect of ['chat', 'messages'] as const) {
          const body = { model: 'any', max_tokens: 1, messages: [USER] };
          const one = anthropic.prepare(askFor(body, { dialect }));
          const reading = plain(one, { content: blocks, stop_reason: reason, usage });
          assert.ok(reading.kind === 'answer' || reading.kind === 'broken');
          if (reading.kind === 'answer') {
            assert.equal(typeof reason, 'string');
            reading.output();
          }
        }
      }),
    );
  });
});

describe('Random requests', () => {
  const member = fc.constantFrom(
    ...[
      'messages',
      'system',
      'tools',
      'tool_choice',
      'thinking',
      'output_config',
      'max_tokens',
      'temperature',
    ],
    ...[
      'stop',
      'stop_sequences',
      'response_format',
      'reasoning_effort',
      'user',
      'cache_control',
      '__proto__',
    ],
  );
  const message = fc.record({
    role: fc.constantFrom('user', 'assistant', 'system', 'tool', 'developer'),
    content: fc.oneof(json, fc.string(), fc.constant([{ type: 'text', text: 'A' }])),
    tool_call_id: fc.string(),
    tool_calls: fc.oneof(
      fc.constant(null),
      fc.constant([{ id: 'a', type: 'function', function: { name: 'f' } }]),
      json,
    ),
    thinking_blocks: json,
  });

  it('are sent as JSON or refused, whatever is in them', () => {
    const body = fc.tuple(
      fc.array(message, { maxLength: 5 }),
      fc.array(fc.tuple(member, json), { maxLength: 3 }),
      fc.boolean(),
    );
    fc.assert(
      fc.property(
        body,
        fc.constantFrom('chat' as const, 'messages' as const),
        ([messages, members, strict], dialect) => {
          const request = Object.fromEntries<Json>([
            ['model', 'any'],
            ['messages', messages as unknown as Json],
            ...(members as [string, Json][]),
          ]);
          const ask = askFor(JSON.stringify(request), {
            dialect,
            strict,
            cacheMarkers: true,
            capabilities: { thinking: strict ? 'budget' : 'adaptive', forcedTools: false, prefill: !strict },
          });
          try {
            const sent = sentJson(anthropic.prepare(ask));
            assert.equal(sent['model'], 'target-model');
            if (dialect === 'chat') assert.ok((sent['messages'] as Json[]).length >= 0);
          } catch (error) {
            assert.ok(error instanceof Unsupported, String(error));
          }
        },
      ),
      { numRuns: 1500 },
    );
  });
});
