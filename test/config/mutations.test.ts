import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { loadText } from '../../src/config/load.ts';

const FILES = [
  'config/spillway.yaml',
  'config/examples/across-providers.yaml',
  'config/examples/by-plan.yaml',
  'config/examples/four-levels.json',
  'test/config/fixtures/config.reference.yaml',
].map((name) => readFileSync(`${import.meta.dirname}/../../${name}`, 'utf8'));

const SECRET = 'S3CRET-5b1f';
/** Every variable is set, to the same text. */
const ENV = new Proxy<Record<string, string>>({}, { get: () => SECRET });

const PIECES = [
  '{',
  '}',
  '[',
  ']',
  ':',
  ': ',
  '- ',
  '"',
  "'",
  '\n',
  '  ',
  '\t',
  '*a',
  '&a ',
  '!t ',
  '|',
  '${',
  '${X}',
  '-1',
  'null',
  '#',
  '0',
  '<<: ',
  '? ',
  '\u0000',
  '😀',
];

/** Some places of a text, and what is done to each: letters taken out, put in, or a line repeated somewhere else. */
const mutations = fc.array(
  fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    remove: fc.nat(12),
    insert: fc.oneof(fc.constantFrom(...PIECES), fc.string({ maxLength: 5 })),
    line: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
  }),
  { minLength: 1, maxLength: 6 },
);

test('whatever is done to a valid file, it gives a configuration or problems at places inside the file, and no secret', () => {
  fc.assert(
    fc.property(fc.constantFrom(...FILES), mutations, fc.boolean(), (file, changes, readSecrets) => {
      let text = file;
      for (const { at, remove, insert, line } of changes) {
        const offset = Math.floor(at * text.length);
        const lines = file.split('\n');
        const more = line === null ? insert : (lines[Math.floor(line * (lines.length - 1))] ?? '');
        text = text.slice(0, offset) + more + text.slice(offset + remove);
      }
      const loaded = loadText('mutated.yaml', text, { env: ENV, readSecrets });
      const told = loaded.ok ? loaded.warnings : loaded.problems;
      if (!loaded.ok) assert.ok(told.length > 0, 'refused without a word');
      const lines = text.split(/\n/);
      for (const { line, column, message } of told) {
        assert.ok(line !== null && column !== null);
        assert.ok(line >= 1 && line <= lines.length, `line ${line} of ${lines.length}: ${message}`);
        assert.ok(
          column >= 1 && column <= (lines[line - 1] ?? '').length + 1,
          `column ${column}: ${message}`,
        );
        assert.ok(!message.includes(SECRET), message);
      }
    }),
    { numRuns: 1500 },
  );
});
