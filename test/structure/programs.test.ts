/** What the built gateway would do without, and nobody would notice. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PROGRAMS } from '../../tools/build.ts';
import { sources } from './sources.ts';

const files = sources();

describe('programs that the gateway starts by their path', () => {
  it('are built', () => {
    const started = files.flatMap(({ text }) =>
      [...text.matchAll(/\bprogramFile\('([^']+)'\)/g)].map(([, path = '']) => path),
    );
    assert.ok(started.length >= 3, `found only ${started}`);
    for (const path of started) assert.ok(PROGRAMS.includes(path), `${path}: see tools/build.ts`);
  });

  it('are found by nothing else', () => {
    const others = files.filter(
      ({ path, text }) =>
        /import\.meta\.(filename|dirname)/.test(text) && path !== 'src/core/program-file.ts',
    );
    assert.deepEqual(
      others.map(({ path }) => path),
      [],
    );
  });
});

it("node:http is imported for its types only: an import of its values brings in Node's own fetch, a twentieth of the start", () => {
  const values = files.filter(({ text }) => /^import (?!type\b)[^;]*'node:http'/m.test(text));
  assert.deepEqual(
    values.map(({ path }) => path),
    [],
  );
});
