/** Whatever goes wrong and wherever: what a client has is the beginning of one coherent answer, and it knows whether that is all. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { bodyOf, CLIENTS, eventsOf, post, readStream } from '../native/clients.ts';
import { delta, FINISH, ROLE, text, usage } from '../support/rig.ts';
import {
  apiError,
  close,
  htmlPage,
  reset,
  type Script,
  type StreamItem,
  stream,
} from '../support/upstream.ts';
import { startPair, WHOLE } from './kit.ts';

/** Another answer, which begins alike. */
const OTHER = `${WHOLE.slice(0, 30)}sunny day.`;

interface Behaviour {
  /** Which answer it gives. */
  answer: string;
  /** Lengths of its pieces. */
  pieces: number[];
  thinks: boolean;
  calls: boolean;
  prefills: 'goes on' | 'refuses' | 'repeats';
  /** After so many events. */
  at: number;
  fault: Fault;
}

const FAULTS = [
  'none',
  'cut',
  'reset',
  'end',
  'end mark',
  'error',
  'error event',
  'finish error',
  'html',
  'status',
  'garbage',
  'wrong types',
] as const;
type Fault = (typeof FAULTS)[number];

const behaviour: fc.Arbitrary<Behaviour> = fc.record({
  answer: fc.constantFrom(WHOLE, WHOLE, WHOLE, OTHER),
  pieces: fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 }),
  thinks: fc.boolean(),
  calls: fc.integer({ min: 0, max: 5 }).map((n) => n === 0),
  prefills: fc.constantFrom('goes on', 'goes on', 'refuses', 'repeats'),
  at: fc.nat(14),
  fault: fc.constantFrom(...FAULTS),
});

const CALL = { index: 0, id: 'c1', type: 'function', function: { name: 'f', arguments: '{"a":1}' } };

/** What an upstream that behaves so answers to this request. */
function answered(how: Behaviour, given: string | null): Script {
  if (how.fault === 'html') return htmlPage(200);
  if (how.fault === 'status') return apiError(503);
  if (given !== null && how.prefills === 'refuses') return apiError(400);
  // One that was given the beginning of another answer goes on as that would.
  const whole = given === null || WHOLE.startsWith(given) ? (given === null ? how.answer : WHOLE) : OTHER;
  // A word or two that come again are not known from what a model may write.
  const repeats = given === null || (how.prefills === 'repeats' && given.length >= 24);
  const says = repeats ? whole : whole.slice(given.length);
  const events: StreamItem[] = [ROLE];
  if (how.thinks) events.push(delta({ reasoning_content: 'Hm' }), delta({ reasoning_content: ', so' }));
  for (let from = 0, turn = 0; from < says.length; turn++) {
    const length = how.pieces[turn % how.pieces.length] as number;
    events.push(text(says.slice(from, from + length)));
    from += length;
  }
  if (how.calls) events.push(delta({ tool_calls: [CALL] }), delta({}, 'tool_calls'));
  else events.push(FINISH);
  events.push(usage());
  if (how.fault === 'none') return stream(events);
  // The first event, which has the role, is never the damaged one: no host says it twice.
  const damages = how.fault === 'garbage' || how.fault === 'wrong types';
  const at = damages ? Math.max(1, how.at) : how.at;
  return stream([...events.slice(0, at), ...faultOf(how.fault, events.slice(at))], {
    done: how.fault === 'end mark',
  });
}

function faultOf(fault: Fault, rest: StreamItem[]): StreamItem[] {
  switch (fault) {
    case 'cut':
      return [close()];
    case 'reset':
      return [reset()];
    case 'error':
      return [{ error: { message: 'overloaded', code: 529 } }];
    case 'error event':
      return ['event: error\ndata: {"error":{"message":"x"}}'];
    case 'finish error':
      return [delta({}, 'error')];
    case 'garbage':
      return ['data: {"choices":[{"del', ...rest.slice(1)];
    case 'wrong types':
      return [{ choices: [{ index: 0, delta: 7 }] }, { choices: 'x' }, ...rest.slice(1)];
    default:
      return [];
  }
}

describe('an answer', () => {
  for (const client of CLIENTS) {
    it(`is one, or its beginning and an error: ${client}`, async (t) => {
      const pair = await startPair(t, {
        targets: [{}, { prefill: true }, {}],
        config: {
          // Those that fail again and again are asked all the same.
          defaults: { breaker: { consecutive_failures: 1_000_000, min_requests: 1_000_000 } },
        },
      });
      let behaviours: readonly Behaviour[] = [];
      for (const [at, upstream] of pair.upstreams.entries()) {
        upstream.reply((request) => {
          const { messages } = request.json<
            { messages: { role: string; content: string }[] } & Record<string, never>
          >();
          const last = messages.at(-1);
          return answered(behaviours[at] as Behaviour, last?.role === 'assistant' ? last.content : null);
        });
      }
      const ends = new Set<string>();
      await fc.assert(
        fc.asyncProperty(fc.tuple(behaviour, behaviour, behaviour), async (all) => {
          behaviours = all;
          const response = await post(pair.gateway, client, bodyOf(client, 'm', { stream: true }));
          const received = await response.text();
          if (response.status !== 200) {
            assert.ok(response.status >= 500, `${response.status} ${received}`);
            return;
          }
          const had = readStream(client, eventsOf(received));
          ends.add(had.end);
          const garbled = all.some(({ fault }) => fault === 'garbage' || fault === 'wrong types');
          // An event that is dropped in the middle leaves a hole, as it does in every stream; but all that is told is one model's.
          if (!garbled) {
            assert.ok(WHOLE.startsWith(had.text) || OTHER.startsWith(had.text), received);
            if (had.end === 'finish') assert.ok([WHOLE, OTHER].includes(had.text), received);
          }
          assert.ok('Hm, so'.startsWith(had.reasoning) || garbled, received);
          assert.ok(had.arguments.length <= 1, received);
        }),
        { numRuns: 300 },
      );
      assert.deepEqual(ends, new Set(['finish', 'error']));
      await pair.nothingLeft();
    });
  }
});
