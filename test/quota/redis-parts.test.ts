import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import fc from 'fast-check';
import { PERIODS, type Period, partAt } from '../../src/quota/periods.ts';
import { numberOf } from '../../src/quota/redis/keys.ts';
import { PARTS } from '../../src/quota/redis/lua-parts.ts';
import { startRedis } from '../support/redis.ts';

const redis = await startRedis({ after });

const ASK = `${PARTS}
local answer = {}
for i = 1, #ARGV, 2 do
  local period = tonumber(ARGV[i])
  local start = partOf(period, tonumber(ARGV[i + 1]))
  -- As text: the client library is not exact in the last fifty below 2^53.
  answer[#answer + 1] = string.format('%.0f', start)
  answer[#answer + 1] = string.format('%.0f', freeAt(period, start))
end
return answer
`;

/** What Lua says of the part that each time falls in: start and when it is free. */
async function inLua(asked: readonly (readonly [Period | null, number])[]): Promise<number[]> {
  const args = asked.flatMap(([period, at]) => [numberOf(period), at]);
  return ((await redis.call('EVAL', ASK, 0, ...args)) as string[]).map(Number);
}

function inTypeScript(asked: readonly (readonly [Period | null, number])[]): number[] {
  return asked.flatMap(([period, at]) => {
    const { start, freeAt } = partAt(period, at);
    return [start, freeAt];
  });
}

const ALL = [...PERIODS, null];
const [FROM, TO] = [Date.UTC(2020, 0), Date.UTC(2101, 0)];

describe('parts of periods in Lua', () => {
  it('are those of TypeScript to the millisecond, at any time from 2020 to 2100', async () => {
    const times = fc.array(fc.integer({ min: FROM, max: TO - 1 }), { minLength: 50, maxLength: 50 });
    await fc.assert(
      fc.asyncProperty(times, async (some) => {
        const asked = some.flatMap((at) => ALL.map((period) => [period, at] as const));
        assert.deepEqual(await inLua(asked), inTypeScript(asked));
      }),
      { numRuns: 100 },
    );
  });

  it('begin and end with every day and month from 2020 to 2100', async () => {
    const edges: number[] = [];
    for (let at = FROM; at < TO; at += 86_400_000) edges.push(at - 1, at);
    for (let i = 0; i < edges.length; i += 1_500) {
      const asked = edges.slice(i, i + 1_500).flatMap((at) => [['day', at] as const, ['month', at] as const]);
      assert.deepEqual(await inLua(asked), inTypeScript(asked));
    }
  });
});
