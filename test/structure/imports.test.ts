import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Import, importsOf, partOf, sources } from './sources.ts';

const imports = sources().flatMap(importsOf);

/** Fails with `file:line imports what` for each. */
function none(offending: readonly Import[], why: string): void {
  const lines = offending.map(({ from, line, to }) => `${from}:${line} imports ${to}`);
  assert.equal(lines.length, 0, `${why}\n${lines.join('\n')}`);
}

/** Every part exports the schema of its own settings: these files may use zod and what is made for it. */
const isSchema = (path: string) => path.endsWith('/schema.ts');

/** What a part must not import, and why. */
const NEVER: Readonly<Record<string, { parts: readonly string[]; because: string }>> = {
  providers: {
    parts: ['undici', 'ioredis', 'fastify', 'resilience', 'upstream'],
    because: 'an adapter translates, and does nothing else',
  },
  routing: { parts: ['upstream', 'providers'], because: 'a tree is walked without knowing what is called' },
  quota: { parts: ['providers'], because: 'a quota counts, whoever answers' },
  pipeline: { parts: ['fastify', 'undici'], because: 'a request is handled without knowing who carries it' },
  server: { parts: ['undici', 'ioredis', 'upstream'], because: 'the server only faces clients' },
};

/** Brought in only where a configuration needs them. */
const VENDORS = [
  '@aws-sdk/credential-providers',
  '@azure/identity',
  '@smithy/signature-v4',
  'google-auth-library',
];

/** All that a part may import. */
const ONLY: Readonly<Record<string, { parts: readonly string[]; because: string }>> = {
  // Buffer is there without an import, so what belongs to it may be named as well.
  core: { parts: ['node:buffer'], because: 'the words that all speak depend on nobody' },
  sse: { parts: ['core'], because: 'bytes and events, nothing else' },
  resilience: { parts: ['core'], because: 'it knows no HTTP' },
  overload: { parts: ['core'], because: 'it knows no HTTP' },
  chat: { parts: ['capabilities', 'core'], because: 'the words that all dialects meet in know none of them' },
  credentials: {
    parts: ['core', 'node:buffer', 'node:crypto', ...VENDORS],
    because: 'who calls is not what is said',
  },
  schema: { parts: ['core', 'zod'], because: 'the kit that schemas are made with belongs to no part' },
};

/** Who alone may import it. */
const RESERVED: Readonly<Record<string, readonly string[]>> = {
  config: ['config', 'app', 'workers', 'main.ts', 'cli'],
  app: ['app', 'workers', 'main.ts', 'cli'],
  undici: ['upstream', 'media'],
  fastify: ['server', 'app'],
  ioredis: ['state'],
};

describe('imports run one way', () => {
  it('finds every form of import', () => {
    const text = [
      "import a from 'one';",
      'import {',
      '  type B,',
      "} from './two.ts';",
      "export * from '../three/x.ts';",
      "import 'node:four';",
      "const c = await import('@five/six/seven');",
      "type D = import('./eight.ts').D;",
    ].join('\n');
    const found = importsOf({ path: 'src/part/file.ts', text });
    assert.deepEqual(
      found.map(({ line, to }) => `${line} ${to}`),
      ['1 one', '4 src/part/two.ts', '5 src/three/x.ts', '6 node:four', '7 @five/six', '8 src/part/eight.ts'],
    );
    assert.ok(imports.length > 200, `found only ${imports.length} imports in src`);
  });

  for (const [part, { parts, because }] of Object.entries(NEVER)) {
    it(`${part} imports none of ${parts.join(', ')}: ${because}`, () => {
      none(
        imports.filter(({ from, to }) => partOf(from) === part && parts.includes(partOf(to))),
        because,
      );
    });
  }

  for (const [part, { parts, because }] of Object.entries(ONLY)) {
    it(`${part} imports nothing but ${parts.join(', ')}: ${because}`, () => {
      const allowed = (path: string) => [part, ...parts, ...(isSchema(path) ? ['schema', 'zod'] : [])];
      none(
        imports.filter(({ from, to }) => partOf(from) === part && !allowed(from).includes(partOf(to))),
        because,
      );
    });
  }

  for (const [part, importers] of Object.entries(RESERVED)) {
    it(`nothing but ${importers.join(', ')} imports ${part}`, () => {
      none(
        imports.filter(({ from, to }) => partOf(to) === part && !importers.includes(partOf(from))),
        `${part} is reserved`,
      );
    });
  }

  it('zod stays where settings are read', () => {
    const outside = imports.filter(
      ({ from, to }) =>
        to === 'zod' && !isSchema(from) && !['schema', 'config', 'cli'].includes(partOf(from)),
    );
    none(outside, 'parts are handed typed settings');
  });

  it('imports end in .ts and lead to files that exist', () => {
    const paths = new Set(sources().map(({ path }) => path));
    none(
      imports.filter(({ to }) => to.startsWith('src/') && !paths.has(to)),
      'there is no such file',
    );
  });

  it('no files import each other in a circle', () => {
    assert.deepEqual(
      circles(imports, (path) => path),
      [],
    );
  });

  it('no folders import each other in a circle', () => {
    assert.deepEqual(circles(imports, partOf), []);
  });
});

/** Each circle once, as the imports that close it: `a.ts:3 → b.ts:1 → a.ts`. */
function circles(all: readonly Import[], nodeOf: (path: string) => string): string[] {
  const edges = new Map<string, Map<string, Import>>();
  for (const one of all) {
    const [from, to] = [nodeOf(one.from), nodeOf(one.to)];
    if (!one.to.startsWith('src/') || from === to) continue;
    const known = edges.get(from) ?? new Map<string, Import>();
    if (!known.has(to)) known.set(to, one);
    edges.set(from, known);
  }
  const found: string[] = [];
  const done = new Set<string>();
  const follow = (node: string, trail: readonly { node: string; by: Import }[]) => {
    const start = trail.findIndex((step) => step.node === node);
    if (start >= 0) {
      const steps = trail.slice(start).map(({ by }) => `${by.from}:${by.line}`);
      found.push(`${steps.join(' → ')} → ${trail[start]?.by.from}`);
      return;
    }
    if (done.has(node)) return;
    for (const [next, by] of edges.get(node) ?? []) follow(next, [...trail, { node, by }]);
    done.add(node);
  };
  for (const node of edges.keys()) follow(node, []);
  return found;
}
