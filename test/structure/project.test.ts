import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { codeOf, lineAt, ROOT, sources } from './sources.ts';

const MOST_LINES = 400;

interface Package {
  name?: string;
  version?: string;
  license?: string;
  engines?: Record<string, string>;
  bin?: Record<string, string>;
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
}

function readJson<T>(path: string): T {
  return JSON.parse(readFileSync(join(ROOT, path), 'utf8')) as T;
}

/** `file:line text` of every match. */
function matches(pattern: RegExp, of: (text: string) => string): string[] {
  return sources().flatMap(({ path, text }) =>
    [...of(text).matchAll(pattern)].map((match) => `${path}:${lineAt(text, match.index)} ${match[0]}`),
  );
}

describe('the sources', () => {
  it(`have fewer than ${MOST_LINES} lines each`, () => {
    const long = sources()
      .map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 }))
      .filter(({ lines }) => lines >= MOST_LINES);
    assert.deepEqual(long, []);
  });

  it('never say any, nor silence the type checker', () => {
    assert.deepEqual(matches(/(?<!\.)\bany\b(?!:)/g, codeOf), []);
    assert.deepEqual(
      matches(/@ts-(?:ignore|expect-error|nocheck)|biome-ignore[^:]*noExplicitAny/g, (text) => text),
      [],
    );
  });

  it('leave nothing to be done later', () => {
    assert.deepEqual(
      matches(/\b(?:TODO|FIXME|XXX|HACK)\b/g, (text) => text),
      [],
    );
  });
});

describe('the package', () => {
  const manifest = readJson<Package>('package.json');
  const lock = readJson<{ packages: Record<string, Package> }>('package-lock.json');
  const kinds = ['dependencies', 'devDependencies', 'optionalDependencies'] as const;
  const wanted = kinds.flatMap((kind) => Object.entries(manifest[kind] ?? {}));

  it('names exact versions, no ranges', () => {
    assert.ok(wanted.length > 0);
    assert.deepEqual(
      wanted.filter(([, version]) => !/^\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(version)),
      [],
    );
  });

  it('is in step with its lockfile', () => {
    const locked = lock.packages[''] ?? {};
    for (const key of ['name', 'version', 'license', 'engines', 'bin', ...kinds] as const) {
      assert.deepEqual(locked[key], manifest[key], `${key} differs: run npm install`);
    }
    for (const [name, version] of wanted) {
      assert.equal(lock.packages[`node_modules/${name}`]?.version, version, name);
    }
  });
});
