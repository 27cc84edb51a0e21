import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { withReference } from '../../src/cli/reference.ts';

const DOCUMENT = readFileSync(`${import.meta.dirname}/../../docs/configuration.md`, 'utf8');

test('docs/configuration.md has the keys as the schemas have them; if not: node src/cli/reference.ts', () => {
  assert.equal(withReference(DOCUMENT), DOCUMENT);
});

test('every key has a type and a meaning', () => {
  const rows = DOCUMENT.split('\n').filter((line) => line.startsWith('| `') && line.split(' | ').length >= 4);
  assert.ok(rows.length > 100);
  for (const row of rows) {
    const [, key, type, , meaning] = row.split(/(?<!\\)\|/).map((text) => text.trim());
    assert.ok(type && meaning, `${key} lacks its type or meaning`);
  }
});
