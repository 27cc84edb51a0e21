import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { countInstructions, whyUncounted } from '../../bench/instructions.ts';
import { temporaryDirectory } from '../support/process.ts';

/** In the place of `perf`, and of all other programs. */
function perf(t: TestContext, script: string | null): void {
  const directory = temporaryDirectory(t);
  if (script !== null) writeFileSync(join(directory, 'perf'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const path = process.env['PATH'] ?? '';
  process.env['PATH'] = directory;
  t.after(() => {
    process.env['PATH'] = path;
  });
}

/** Says what it counted of the processes 7 and 8 once it is interrupted. */
const COUNTS = `
for pids; do :; done
trap '[ "$pids" = 7,8 ] && echo "12000000,,instructions:u,100.00,," >&2; exit 130' INT
read order <&3
[ "$order" = enable ] && echo ack >&4
while :; do read more <&4; done
`;

describe('instructions', () => {
  it('are those of all the processes together, from when counting has begun', async (t) => {
    perf(t, COUNTS);
    const counting = await countInstructions([7, 8]);
    assert.equal(await counting(), 12_000_000);
  });

  it('of processes that there are none of are unknown, and nobody waits for them', async (t) => {
    perf(t, 'echo "no such process" >&2; exit 1');
    const counting = await countInstructions([7]);
    assert.ok(Number.isNaN(await counting()));
  });

  it('are not counted where there is no perf, or where it counts none', (t) => {
    perf(t, null);
    assert.equal(whyUncounted(), 'perf is not installed');
    perf(t, 'echo "<not supported>,,instructions:u,0,100.00,," >&2');
    assert.equal(whyUncounted(), 'perf counts none here');
    perf(t, 'echo "1404076,,instructions:u,1404076,100.00,," >&2');
    assert.equal(whyUncounted(), null);
  });
});
