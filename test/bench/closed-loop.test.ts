import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { chooseLoader } from '../../bench/closed-loop.ts';
import { temporaryDirectory } from '../support/process.ts';

/** In the place of wrk: looks at its body when two of them have begun, and says how long it is instead of how many requests it sent. */
function wrkThatWaitsForAnother(t: TestContext): void {
  const directory = temporaryDirectory(t);
  const begun = join(directory, 'begun');
  mkdirSync(begun);
  const script = `#!/bin/sh
[ "$1" = -v ] && exit 1
touch "${begun}/$$"
while [ "$(ls "${begun}" | wc -l)" -lt 2 ]; do sleep 0.01; done
printf '{"requests":%d,"micros":1000000,"bytes":0,"failed":0}\\n' "$(wc -c < "$BENCH_BODY")"
`;
  writeFileSync(join(directory, 'wrk'), script, { mode: 0o755 });
  const path = process.env['PATH'] ?? '';
  process.env['PATH'] = `${directory}:${path}`;
  t.after(() => {
    process.env['PATH'] = path;
  });
}

it('loaders that work at the same time send what each of them was given', async (t) => {
  wrkThatWaitsForAnother(t);
  const { load } = chooseLoader(temporaryDirectory(t));
  const bodies = ['"short"', '"and one that is longer"'];
  const asked = bodies.map((body) => ({ url: 'http://127.0.0.1/', headers: {}, body: Buffer.from(body) }));
  const results = await Promise.all(asked.map((one) => load(one, 1, 1)));
  assert.deepEqual(
    results.map(({ requests }) => requests),
    bodies.map(({ length }) => length),
  );
});
