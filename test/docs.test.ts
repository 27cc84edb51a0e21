/** What is written about the project, held to the project. */
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { loadText } from '../src/config/load.ts';
import { formatProblem } from '../src/config/problem.ts';
import { isInStep, PAGES } from '../tools/docs/generate.ts';
import { importsOf, partOf, ROOT, sources } from './structure/sources.ts';

const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');
const DOCUMENTS = globSync(['*.md', 'docs/**/*.md', 'bench/*.md'], { cwd: ROOT });

/** As GitHub names headings in links. */
const anchorsOf = (text: string) =>
  [...text.replace(/```.*?```/gs, '').matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-'),
  );

describe('generated pages', () => {
  for (const page of PAGES) {
    it(`${page.file} is as \`npm run docs\` would write it`, async () => {
      assert.ok(await isInStep(page), 'run `npm run docs`');
    });
  }
});

describe('documents', () => {
  for (const file of DOCUMENTS) {
    const text = read(file);

    it(`${file} links to what exists`, () => {
      const links = [...text.matchAll(/\]\(([^)#\s]+)[^)]*\)/g)].map(([, link = '']) => link);
      const local = links.filter((link) => !/^[a-z]+:/.test(link));
      assert.deepEqual(
        local.filter((link) => !existsSync(join(ROOT, dirname(file), link))),
        [],
      );
    });

    it(`${file} links to headings that exist`, () => {
      const links = [...text.matchAll(/\]\(([^)#\s:]*)#([^)\s]+)\)/g)];
      const lost = links.filter(([, page = '', anchor = '']) => {
        return !anchorsOf(page === '' ? text : read(join(dirname(file), page))).includes(anchor);
      });
      assert.deepEqual(
        lost.map(([link]) => link),
        [],
      );
    });

    it(`${file} names scripts that exist`, () => {
      const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
      const named = [...text.matchAll(/npm run ([a-z-]+)/g)].map(([, name = '']) => name);
      assert.deepEqual(
        named.filter((name) => scripts[name] === undefined),
        [],
      );
    });

    const configurations = [...text.matchAll(/```yaml\n(version: 1\n.*?)```/gs)].map(([, yaml = '']) => yaml);
    for (const [index, yaml] of configurations.entries()) {
      it(`${file} has configurations that load (${index + 1})`, () => {
        const loaded = loadText(join(ROOT, file), yaml, { env: {}, readSecrets: false });
        assert.deepEqual(loaded.ok ? loaded.warnings : loaded.problems.map(formatProblem), []);
      });
    }
  }
});

describe('docs/README.md', () => {
  it('leads to every page', () => {
    const index = read('docs/README.md');
    const pages = globSync('*', { cwd: join(ROOT, 'docs') }).filter((page) => page !== 'README.md');
    assert.deepEqual(
      pages.filter((page) => !index.includes(`](${page})`)),
      [],
    );
  });
});

describe('the map in AGENTS.md', () => {
  const rows = [...read('AGENTS.md').matchAll(/^\| `([a-z.]+)\/?` \|[^|]*\|([^|]*)\|([^|]*)\|$/gm)];
  const map = rows.map(([, part = '', parts = '', packages = '']) => ({
    part,
    parts: [...parts.matchAll(/`([a-z.]+)`/g)].map(([, name = '']) => name),
    packages: packages.match(/[@a-z0-9/-]+/g) ?? [],
  }));
  const imports = sources().flatMap(importsOf);

  it('has every part, and each below those that import it', () => {
    const order = map.map(({ part }) => part);
    assert.deepEqual(order.toSorted(), [...new Set(sources().map(({ path }) => partOf(path)))].toSorted());
    for (const { part, parts } of map) {
      const above = parts.filter((name) => order.indexOf(name) <= order.indexOf(part));
      assert.deepEqual(above, [], `imported by ${part}`);
    }
  });

  for (const { part, parts, packages } of map) {
    it(`has all that ${part} imports`, () => {
      const found = new Set(imports.filter(({ from }) => partOf(from) === part).map(({ to }) => to));
      const named = [...found].map((to) => (to.startsWith('src/') ? partOf(to) : to));
      const unsaid = named.filter(
        (to) => ![part, ...parts, ...packages].includes(to) && !to.startsWith('node:'),
      );
      assert.deepEqual(unsaid, []);
    });
  }
});
