import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DIALECTS } from '../../src/dialects/dialects.ts';
import { DIALECT_PATHS } from '../../src/dialects/paths.ts';

describe('the table of dialects', () => {
  it('has each under its own name, and a place where it is spoken', () => {
    const spoken = new Set(DIALECT_PATHS.values());
    for (const [name, dialect] of Object.entries(DIALECTS)) {
      assert.equal(dialect.name, name);
      assert.ok(spoken.has(dialect.name), `${name} has a path`);
    }
    assert.equal(spoken.size, Object.keys(DIALECTS).length);
  });
});
