/** User instructions of other processes, counted by `perf`. Unlike time they do not depend on what else the machine does. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';

/** As numbers with commas between them, on standard error. */
const WHAT = ['stat', '-x,', '-e', 'instructions:u'];
/** Longer than any round. Milliseconds. */
const TIMEOUT_MS = 60_000;

/** Resolves to how many there were since. NaN: that was not to be learnt. */
export type Counting = () => Promise<number>;

/** Why there is no counting on this machine, or null. */
export function whyUncounted(): string | null {
  const { error, stderr } = spawnSync('perf', [...WHAT, 'true'], { encoding: 'utf8', timeout: TIMEOUT_MS });
  if (error) return 'perf is not installed';
  return Number.isNaN(counted(stderr)) ? 'perf counts none here' : null;
}

/** Of all threads of these processes together, and of those that they start. Counts when it resolves. */
export async function countInstructions(pids: readonly number[]): Promise<Counting> {
  // It begins when it is told to and says that it has: by then it has found all threads.
  const perf = spawn('perf', [...WHAT, '--delay=-1', '--control=fd:3,4', '-p', pids.join(',')], {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'],
    timeout: TIMEOUT_MS,
  });
  const output = text(perf.stdio[2] as Readable);
  const ended = once(perf, 'exit');
  const [orders, answers] = [perf.stdio[3] as Socket, perf.stdio[4] as Socket];
  // Where there is nothing to count any more it is gone before it reads.
  for (const pipe of [orders, answers]) pipe.on('error', () => {});
  orders.end('enable\n');
  await Promise.race([new Promise((resolve) => answers.once('data', resolve)), ended]);
  return async () => {
    // Told so, it says what it counted.
    perf.kill('SIGINT');
    await ended;
    return counted(await output);
  };
}

function counted(csv: string): number {
  const line = csv.split('\n').find((one) => one.includes('instructions'));
  return line === undefined ? Number.NaN : Number(line.split(',')[0]);
}
