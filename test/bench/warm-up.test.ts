import assert from 'node:assert/strict';
import { it } from 'node:test';
import { warmUp } from '../../bench/measure/warm-up.ts';
import { partOf } from '../../bench/parts.ts';
import { Progress } from '../../bench/progress.ts';
import { type Row, rowOf } from '../../bench/rows.ts';
import type { Started } from '../../bench/start/start.ts';

const STARTED = { url: () => 'http://127.0.0.1/', headers: {} } as unknown as Started;

interface Warmed {
  seconds: number;
  connections: number[];
  said: string[];
}

/** What warming up a row in `plain` comes to that answers so many requests a second. */
async function warmed(name: string, perSecond: number, quick = false): Promise<Warmed> {
  const found: Warmed = { seconds: 0, connections: [], said: [] };
  const progress = new Progress(0);
  progress.say = (line) => void found.said.push(line);
  const load = async (_asked: unknown, connections: number, seconds: number) => {
    found.seconds += seconds;
    if (!found.connections.includes(connections)) found.connections.push(connections);
    return { requests: perSecond * seconds, seconds, bytes: 0, refused: 0, failed: 0 };
  };
  await warmUp({ load, quick, progress }, partOf('plain'), rowOf(name) as Row, STARTED);
  return found;
}

it('a row is warm by the requests that it answered, however fast it is', async () => {
  assert.equal((await warmed('spillway', 20_000)).seconds, 4);
  assert.equal((await warmed('spillway', 10_000)).seconds, 8);
  assert.equal((await warmed('spillway', 5_000, true)).seconds, 2);
});

it('two processes have twice as many to answer, on twice the connections', async () => {
  assert.deepEqual(await warmed('workers', 20_000), { seconds: 8, connections: [64], said: [] });
});

it('one that is too slow for that is measured as it is after a time, and that is said', async () => {
  const slow = await warmed('portkey', 1000);
  assert.equal(slow.seconds, 40);
  assert.deepEqual(slow.said, ['plain: portkey is not warm, 40000 of 80000 in 40 s']);
  assert.equal((await warmed('workers', 0)).seconds, 80);
});
