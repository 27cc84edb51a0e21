import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type Entrant, inTurn, type Plan, type Sample } from '../../bench/measure/plan.ts';
import { partOf } from '../../bench/parts.ts';
import { Progress } from '../../bench/progress.ts';

const ONE: Sample = { figures: { cpu: 1 }, failed: 0, note: '1 µs' };

it('whoever fails takes no further part, and what it started for itself ends then, not with the part', async (t) => {
  t.mock.method(process.stderr, 'write', () => true);
  const happened: string[] = [];
  const entrant = (row: string, measure: () => Sample): Entrant => ({
    row,
    warmUp: async () => void happened.push(`${row} warm`),
    measure: async () => {
      happened.push(row);
      return measure();
    },
    end: async () => void happened.push(`${row} ends`),
  });
  const fails = entrant('fails', () => {
    throw new Error('no');
  });
  const goesOn = entrant('goes on', () => ONE);
  const part = { ...partOf('plain'), full: { rounds: 2, seconds: 0, warmUp: 0, settle: 0 } };
  const plan: Plan = {
    started: new Map(),
    direct: '',
    scratch: '',
    quick: false,
    load: () => assert.fail('nothing is loaded here'),
    count: null,
    progress: new Progress(3),
  };
  const measured = await inTurn(plan, part, [fails, goesOn]);
  assert.deepEqual(happened, [
    'fails warm',
    'goes on warm',
    'fails',
    'fails ends',
    'goes on',
    'goes on',
    'goes on ends',
  ]);
  assert.deepEqual(measured, [{ part: 'plain', row: 'goes on', figures: { cpu: [1, 1] }, failed: 0 }]);
});
