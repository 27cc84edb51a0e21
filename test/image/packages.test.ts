/** What is installed beside the gateway's own code, and what of it goes into the image. */
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, posix } from 'node:path';
import { describe, it } from 'node:test';
import { isNeeded, partsOf, prune } from '../../tools/image/needed.ts';
import { type PackageFile, productionFiles, ROOT } from './closure.ts';

/** Of all files together. A megabyte has a million bytes here. */
const MOST_INSTALLED = 70;
const MOST_IN_THE_IMAGE = 18;

/** What is looked for in a try, and may be missing. */
const DISPENSABLE = ['web-streams-polyfill'];

const megabytes = (files: readonly PackageFile[]) => files.reduce((sum, { bytes }) => sum + bytes, 0) / 1e6;

describe('the packages that the gateway runs with', () => {
  const files = productionFiles();
  const needed = files.filter(({ packageName, file }) => isNeeded(packageName, file));

  it(`come to no more than ${MOST_INSTALLED} MB, and ${MOST_IN_THE_IMAGE} MB in the image`, () => {
    const page = readFileSync(join(ROOT, 'docs/operating.md'), 'utf8');
    for (const [most, some] of [
      [MOST_INSTALLED, files],
      [MOST_IN_THE_IMAGE, needed],
    ] as const) {
      const sum = megabytes(some);
      assert.ok(sum <= most, `${sum.toFixed(1)} MB: what has come in, and is it worth it?`);
      // So that what is gained is kept.
      assert.ok(
        sum > most - 5,
        `${sum.toFixed(1)} MB: less than was thought; say so here and in the documentation`,
      );
      assert.match(page, new RegExp(`\\b${most} MB\\b`));
    }
  });

  it('find in the image every file that they ask for', () => {
    const wanted = /(?:\brequire\(|\bfrom|\bimport\(?)\s*(['"])([^'"\n]+)\1/g;
    const gone = new Set(files.filter((file) => !needed.includes(file)).map(({ path }) => path));
    const missing: string[] = [];
    for (const { path } of needed.filter(({ file }) => /\.[cm]?js$/.test(file))) {
      for (const [, , name = ''] of readFileSync(join(ROOT, path), 'utf8').matchAll(wanted)) {
        // Types, in comments.
        if (name.endsWith('.d.ts')) continue;
        if (name.startsWith('.')) {
          const target = posix.join(posix.dirname(path), name);
          const found = [target, `${target}.js`, `${target}.json`, `${target}/index.js`].find((file) =>
            existsSync(join(ROOT, file)),
          );
          if (found !== undefined && gone.has(found)) missing.push(`${path}: ${name}`);
        } else if (!DISPENSABLE.some((other) => name === other || name.startsWith(`${other}/`))) {
          const parts = partsOf(`node_modules/${name}/index.js`);
          if (parts !== null && !isNeeded(parts.packageName, 'index.js')) missing.push(`${path}: ${name}`);
        }
      }
    }
    assert.deepEqual(missing, []);
  });

  it('keep their licences', () => {
    const isLicence = ({ file }: PackageFile) => /^(licen[cs]e|copying|notice)/i.test(file);
    const used = new Set(needed.map(({ packageName }) => packageName));
    const licensed = (some: readonly PackageFile[]) =>
      some.filter((file) => used.has(file.packageName) && isLicence(file)).map(({ path }) => path);
    assert.deepEqual(licensed(needed), licensed(files));
  });
});

describe('packages for the image', () => {
  it('lose what no process loads, and nothing else', (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'spillway-test-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const kept = [
      '.bin/some',
      '@azure/identity/dist/esm/index.js',
      'some/LICENSE.md',
      'some/README',
      'some/data.json',
      'some/dist/tests/index.cjs',
      'some/docs.js',
      'some/index.mjs',
      'some/node_modules/other/index.js',
      'some/parser.wasm',
    ];
    const lost = [
      '@azure/identity/dist/browser/index.js',
      '@azure/msal-browser/LICENSE',
      '@azure/msal-browser/index.js',
      'some/.github/workflow.yml',
      'some/README.md',
      'some/docs/index.html',
      'some/index.d.mts',
      'some/index.mjs.map',
      'some/node_modules/other/test/index.js',
      'some/src/index.ts',
      'some/test/data.json',
    ];
    for (const file of [...kept, ...lost]) {
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      writeFileSync(join(folder, file), '');
    }
    prune(folder);
    const left = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
    const folders = kept.flatMap((file) =>
      file.split('/').map((_, i, steps) => steps.slice(0, i + 1).join('/')),
    );
    // Folders that have become empty are gone, too.
    assert.deepEqual(left, [...new Set(folders)].sort());
  });
});
