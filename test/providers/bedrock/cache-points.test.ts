import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Json, JsonObject } from '../../../src/core/json.ts';
import { Unsupported } from '../../../src/providers/adapter.ts';
import { type AskChanges, sentJson } from '../kit.ts';
import { NOVA, prepare } from './rig.ts';

const mark = (ttl?: string): JsonObject => ({
  cache_control: { type: 'ephemeral', ...(ttl === undefined ? {} : { ttl }) },
});
const text = (name: string, marked: JsonObject = {}): JsonObject => ({ type: 'text', text: name, ...marked });
const tool = (name: string, marked: JsonObject = {}): JsonObject => ({
  type: 'function',
  function: { name },
  ...marked,
});
const user = (...content: JsonObject[]): JsonObject => ({ role: 'user', content });
const system = (...content: JsonObject[]): JsonObject => ({ role: 'system', content });

/** What bears a cache point, with its time, in the order of the prompt. */
function points(
  request: JsonObject,
  changes: AskChanges = {},
): [found: string[], dropped: readonly string[]] {
  const prepared = prepare(request, changes);
  const { toolConfig, system: prompt = [], messages } = sentJson(prepared);
  const tools = (toolConfig as JsonObject | undefined)?.['tools'] ?? [];
  const contents = (messages as JsonObject[]).map(({ content }) => content as Json);
  const found: string[] = [];
  let before = '';
  for (const block of [tools, prompt, ...contents].flat() as JsonObject[]) {
    const { toolSpec, cachePoint, text: said, toolResult } = block as Record<string, JsonObject | undefined>;
    if (cachePoint === undefined) {
      before = String(toolSpec?.['name'] ?? said ?? toolResult?.['toolUseId']);
    } else {
      assert.equal(cachePoint['type'], 'default');
      found.push(`${before} ${cachePoint['ttl'] ?? '-'}`);
    }
  }
  return [found, prepared.dropped];
}

describe('Cache points for Converse', () => {
  const five = {
    messages: [
      system(text('S', mark())),
      user(text('A', mark()), text('B')),
      { role: 'assistant', content: [text('C', mark())] },
      user(text('D', mark())),
    ],
    tools: [tool('one'), tool('two', mark())],
  };

  it('are at most four, the last ones', () => {
    assert.deepEqual(points(five), [['S -', 'A -', 'C -', 'D -'], ['cache_control']]);
    const four = { ...five, tools: [tool('one'), tool('two')] };
    assert.deepEqual(points(four), [['S -', 'A -', 'C -', 'D -'], []]);
    assert.deepEqual(points({ ...four, ...mark() }), [['S -', 'A -', 'C -', 'D -'], []]);
    assert.throws(
      () => prepare(five, { strict: true }),
      (error) => error instanceof Unsupported && error.param === 'cache_control',
    );
  });

  it('count that of the whole request, and ours', () => {
    const request = {
      messages: [
        system(text('S', mark())),
        user(text('A', mark()), text('B', mark()), text('C', mark()), text('D')),
      ],
    };
    assert.deepEqual(points({ ...request, ...mark() }), [['A -', 'B -', 'C -', 'D -'], ['cache_control']]);
    const long = 'word '.repeat(20_000);
    const [found] = points(
      { ...five, tools: [tool('t')], messages: [system(text(long)), ...five.messages] },
      {
        cacheMarkers: true,
      },
    );
    assert.ok(found.length <= 4, String(found));
  });

  it('are kept for no less than those behind them', () => {
    const request = (first?: string, second?: string, third?: string) =>
      points({
        tools: [tool('t', mark(first))],
        messages: [system(text('S', mark(second))), user(text('A', mark(third)))],
      });
    assert.deepEqual(request('5m', undefined, '1h'), [['t 1h', 'S 1h', 'A 1h'], []]);
    assert.deepEqual(request('5m', '1h', '5m'), [['t 1h', 'S 1h', 'A 5m'], []]);
    assert.deepEqual(request('1h', '5m', undefined), [['t 1h', 'S 5m', 'A -'], []]);
    assert.deepEqual(request(undefined, '5m', '5m'), [['t -', 'S 5m', 'A 5m'], []]);
  });

  it('do not grow for one that is left out', () => {
    const marked = (name: string, ttl?: string) => text(name, mark(ttl));
    const request = {
      messages: [user(marked('A'), marked('B', '1h'), marked('C'), marked('D'), marked('E'), marked('F'))],
    };
    assert.deepEqual(points(request), [['C -', 'D -', 'E -', 'F -'], ['cache_control']]);
  });

  it('are kept for five minutes by Nova, and an hour that was asked for is named', () => {
    const request = (ttl: string) => ({ messages: [user(text('A', mark(ttl)))] });
    assert.deepEqual(points(request('1h'), { model: NOVA }), [['A -'], ['cache_control']]);
    assert.deepEqual(points(request('5m'), { model: NOVA }), [['A -'], []]);
  });
});
