import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { type ModelCapabilities, NOTHING_KNOWN } from '../../src/capabilities/capabilities.ts';
import { Capabilities } from '../../src/capabilities/table.ts';
import { readCapabilities } from '../../src/config/compile-capabilities.ts';
import { type Loaded, loadConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/problem.ts';

const PROVIDERS = new Set(['openai', 'bedrock']);

function problemsOf(text: string): string[] {
  const { problems } = readCapabilities('models.yaml', text, PROVIDERS);
  return problems.map(({ line, column, path, message }) => `${line}:${column} ${path}: ${message}`);
}

function warningsOf(text: string): string[] {
  const { problems, warnings } = readCapabilities('models.yaml', text, PROVIDERS);
  assert.deepEqual(problems.map(formatProblem), []);
  return warnings.map(({ path, message }) => `${path}: ${message}`);
}

/** What a file of capabilities knows of a model. */
function found(text: string, model: string, provider = 'openai'): ModelCapabilities {
  const { tables, problems } = readCapabilities('models.yaml', text, PROVIDERS);
  assert.deepEqual(problems.map(formatProblem), []);
  return new Capabilities(tables).find(provider, model);
}

describe('a file of capabilities', () => {
  it('is told all that is wrong with it at once, with its places', () => {
    assert.deepEqual(
      problemsOf(`spellings: ["{}"]
models:
  - models: [a]
    context: lots
    max_ouput: 3
  - { models: [b], efforts: [hard], thinking: deep }
  - { models: [c], forced_tools: sometimes, refuses: temperature }
  - { models: [], input: [smell] }
  - { prefill: true }
  - { models: [d], efforts: [] }
extend: built-in
`),
      [
        '1:13 spellings[0]: expected a text with {} once, where the name stands, such as "*/{}", found "{}"',
        '4:14 models[0].context: expected a number of tokens such as 272k, 1m or 204800, or `unknown`, found "lots"',
        '5:5 models[0].max_ouput: unknown key; did you mean max_output?',
        '6:30 models[1].efforts[0]: expected one of none, minimal, low, medium, high, xhigh, max, found "hard"',
        '6:47 models[1].thinking: expected one of adaptive, budget, none, found "deep"',
        '7:54 models[2].refuses: expected a list, found "temperature"',
        '7:34 models[2].forced_tools: expected `true` or `false`, found "sometimes"',
        '8:15 models[3].models: expected a list of at least 1, found a list',
        '8:27 models[3].input[0]: expected one of image, audio, file, found "smell"',
        '9:5 models[4].models: missing; expected a list',
        '10:29 models[5].efforts: expected a list of at least 1, found a list',
        '11:1 extend: unknown key; did you mean extends?',
      ],
    );
  });

  it('that is empty, or no map, is told what it should be', () => {
    assert.match(problemsOf('')[0] ?? '', /^1:1 : the file is empty; expected at least `models`/);
    assert.match(problemsOf('- a\n')[0] ?? '', /^1:1 : expected a map of keys/);
    assert.match(
      problemsOf('extends: else\nmodels: []\n')[0] ?? '',
      /extends: expected `built-in`, found "else"/,
    );
    assert.deepEqual(problemsOf('models: []\n'), []);
  });

  it('has each model of each provider once', () => {
    assert.deepEqual(
      problemsOf(`models:
  - { models: [a, b, a] }
  - { models: [b], providers: [openai] }
  - { models: [b], providers: [openai, bedrock] }
`),
      [
        '2:22 models[0].models[2]: has an entry already, at `models[0].models[0]`',
        '4:16 models[2].models[0]: has an entry already, at `models[1].models[0]`',
      ],
    );
  });

  it('is asked about providers that there are not, and about parameters that were hardly meant', () => {
    assert.deepEqual(
      warningsOf('models: [{ models: [a], providers: [bedrok], refuses: [temprature, my_own] }]'),
      [
        'models[0].providers[0]: there is no provider "bedrok"; did you mean bedrock?',
        'models[0].refuses[0]: there is no parameter "temprature"; did you mean temperature?',
      ],
    );
  });

  it('cannot take away what makes a request', () => {
    for (const name of ['model', 'messages', 'stream', 'tools', 'tool_choice', 'response_format', 'n']) {
      assert.deepEqual(problemsOf(`models: [{ models: [a], refuses: [seed, ${name}] }]`), [
        '1:41 models[0].refuses[1]: is no parameter that a request can do without',
      ]);
    }
  });

  it('does not contradict itself', () => {
    assert.deepEqual(
      problemsOf(`models:
  - { models: [a], context: 1k, max_output: 2k }
  - { models: [b], takes_at_no_effort: [seed] }
  - { models: [c], efforts: [low], default_effort: high }
`),
      [
        '2:45 models[0].max_output: `max_output` is more than `context`, which prompt and answer share',
        '3:20 models[1].takes_at_no_effort: `seed` of `takes_at_no_effort` is not among what it `refuses` at other efforts',
        '4:52 models[2].default_effort: `default_effort` (high) is not one of its `efforts`',
      ],
    );
  });

  it('does not contradict what it took over, and is told so where it says it', () => {
    const base =
      '{ models: [a], context: 9k, max_output: 5k, refuses: [seed], takes_at_no_effort: [seed], efforts: [low], default_effort: low }';
    assert.deepEqual(
      problemsOf(`models:
  - ${base}
  - { models: [b], like: a, context: 3k }
  - { models: [c], like: a, refuses: [] }
  - { models: [d], like: a, efforts: [high] }
  - { models: [e], like: d }
`),
      [
        '3:38 models[1].context: `max_output` is more than `context`, which prompt and answer share',
        '4:29 models[2].refuses: `seed` of `takes_at_no_effort` is not among what it `refuses` at other efforts',
        '5:29 models[3].efforts: `default_effort` (low) is not one of its `efforts`',
      ],
    );
    assert.deepEqual(
      problemsOf(`models:
  - ${base}
  - { models: [b], like: a, context: unknown }
  - { models: [c], like: a, refuses: [], takes_at_no_effort: [] }
  - { models: [d], like: a, efforts: [high], default_effort: unknown }
`),
      [],
    );
  });
});

describe('an entry that is like another one', () => {
  const FILE = `models:
  - { models: [last], like: middle, prefill: false }
  - { models: [first, "first-*"], context: 200k, max_output: 10k, refuses: [seed, stop], prefill: true }
  - { models: [middle], like: first, max_output: 20k, refuses: [top_k] }
  - { models: [narrow, first], providers: [bedrock], like: first, context: unknown }
`;

  it('takes over what it does not say itself, key by key, whatever the order', () => {
    const middle = {
      ...NOTHING_KNOWN,
      context: 200_000,
      maxOutput: 20_000,
      refuses: new Set(['top_k']),
      prefill: true,
    };
    assert.deepEqual(found(FILE, 'middle'), middle);
    assert.deepEqual(found(FILE, 'last'), { ...middle, prefill: false });
  });

  it('may be the same model at one provider', () => {
    assert.equal(found(FILE, 'first').context, 200_000);
    assert.equal(found(FILE, 'first', 'bedrock').context, null);
    assert.equal(found(FILE, 'narrow', 'bedrock').maxOutput, 10_000);
    assert.equal(found(FILE, 'first-2', 'bedrock').context, 200_000);
  });

  it('is like the one for all providers where there are several of that name', () => {
    const text = `models:
  - { models: [m], providers: [bedrock], context: 1k }
  - { models: [m], context: 2k }
  - { models: [n], like: m }
  - { models: [only], providers: [openai], context: 3k }
  - { models: [o], like: only }
`;
    assert.equal(found(text, 'n', 'bedrock').context, 2000);
    assert.equal(found(text, 'o', 'bedrock').context, 3000);
  });

  it('has to be like one that there is, by its name in full', () => {
    assert.deepEqual(
      problemsOf(
        'models:\n  - { models: [gpt-6, "gpt-*"] }\n  - { models: [b], like: gtp-6 }\n  - { models: [c], like: "gpt-*" }\n  - { models: [d], like: d }\n',
      ),
      [
        '3:26 models[1].like: there is no entry for "gtp-6"; did you mean gpt-6?',
        '4:26 models[2].like: expected the name of a model in full, as an entry has it',
        '5:26 models[3].like: there is no entry for "d"; there are: gpt-6, b, c',
      ],
    );
  });

  it('cannot be like itself over others', () => {
    assert.deepEqual(
      problemsOf(
        'models:\n  - { models: [a], like: b }\n  - { models: [b], like: c }\n  - { models: [c], like: b }\n',
      ),
      ['4:26 models[2].like: leads in a circle: models[1] -> models[2] -> models[1]'],
    );
  });
});

describe('a file of capabilities that extends the built-in one', () => {
  const FILE = `extends: built-in
models:
  - { models: [my-claude, "arn:aws:bedrock:*"], providers: [bedrock], like: claude-opus-5-5, max_output: 32k }
  - { models: [gpt-6-sol], like: gpt-6-sol, tools_only_at_no_effort: false }
`;

  it('adds to it, and may be like what that has', () => {
    const mine = found(FILE, 'my-claude', 'bedrock');
    assert.equal(found(FILE, 'claude-haiku-4-5', 'bedrock').prefill, true);
    assert.deepEqual(mine, { ...found(FILE, 'claude-opus-5-5'), maxOutput: 32_000 });
    assert.equal(mine.forcedTools, false);
    assert.equal(
      found(FILE, 'arn:aws:bedrock:eu-west-1:1:application-inference-profile/x', 'bedrock').thinkingOff,
      'omit',
    );
    assert.equal(found(FILE, 'my-claude', 'openai'), NOTHING_KNOWN);
  });

  it('comes before it, with the same spellings', () => {
    assert.equal(found(FILE, 'gpt-6-sol').toolsOnlyAtNoEffort, false);
    assert.ok(found(FILE, 'gpt-6-sol').maxCompletionTokens);
    assert.equal(found(FILE, 'openai/gpt-6-sol-2026-09-01').toolsOnlyAtNoEffort, false);
    assert.equal(found(FILE, 'gpt-6-luna').toolsOnlyAtNoEffort, true);
  });

  it('knows nothing of it without that word', () => {
    assert.equal(found('models: [{ models: [a], prefill: true }]', 'gpt-6-luna'), NOTHING_KNOWN);
    assert.deepEqual(problemsOf('models: [{ models: [a], like: gpt-6-sol }]'), [
      '1:31 models[0].like: there is no entry for "gpt-6-sol"; there is none',
    ]);
  });
});

const CONFIG = `version: 1
auth: none
providers: { openai: { adapter: vllm } }
models: { m: { provider: openai, model: x } }
`;

/** Says that x may hold that many tokens. */
const holding = (context: number) => `models: [{ models: [x], context: ${context} }]\n`;

function directoryWith(t: TestContext, files: Record<string, string>): string {
  const directory = mkdtempSync(join(tmpdir(), 'spillway-'));
  t.after(() => rmSync(directory, { recursive: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  return directory;
}

function load(directory: string, { readSecrets = true, env = {} as Record<string, string> } = {}): Loaded {
  return loadConfig(join(directory, 'spillway.yaml'), { env, readSecrets });
}

function good(loaded: Loaded) {
  assert.ok(loaded.ok, loaded.ok ? '' : loaded.problems.map(formatProblem).join('\n'));
  return loaded;
}

function contextOf(loaded: Loaded): number | null {
  return good(loaded).config.capabilities.find('openai', 'x').context;
}

function problemsIn(loaded: Loaded): string[] {
  assert.ok(!loaded.ok, 'it loaded');
  return loaded.problems.map(formatProblem);
}

describe('the capabilities of a configuration', () => {
  it('are in the file that it names, relative to itself', (t) => {
    const directory = directoryWith(t, {
      'spillway.yaml': `${CONFIG}capabilities: known/mine.yaml\n`,
      'models.yaml': holding(1),
    });
    mkdirSync(join(directory, 'known'));
    writeFileSync(join(directory, 'known/mine.yaml'), holding(2));
    const loaded = good(load(directory));
    assert.equal(contextOf(loaded), 2);
    assert.equal(loaded.capabilitiesFrom, join(directory, 'known/mine.yaml'));
  });

  it('are in models.yaml beside it where it names none, and those of the package where that is not there', (t) => {
    const directory = directoryWith(t, { 'spillway.yaml': CONFIG });
    for (const readSecrets of [true, false]) {
      const loaded = good(load(directory, { readSecrets }));
      assert.equal(loaded.capabilitiesFrom, 'built in');
      assert.equal(loaded.config.capabilities.find('openai', 'claude-opus-5-5').thinkingOff, 'omit');
      assert.ok(loaded.config.capabilities.size > 30);
    }
    writeFileSync(join(directory, 'models.yaml'), holding(1));
    const loaded = good(load(directory));
    assert.equal(loaded.capabilitiesFrom, join(directory, 'models.yaml'));
    assert.equal(loaded.config.capabilities.size, 1);
    assert.equal(contextOf(loaded), 1);
  });

  it('are none where it says so', (t) => {
    const directory = directoryWith(t, {
      'spillway.yaml': `${CONFIG}capabilities: ""\n`,
      'models.yaml': holding(1),
    });
    const loaded = good(load(directory));
    assert.equal(loaded.capabilitiesFrom, null);
    assert.equal(loaded.config.capabilities.size, 0);
    assert.equal(loaded.config.capabilities.find('openai', 'claude-opus-5-5'), NOTHING_KNOWN);
  });

  it('are read again when the configuration is', (t) => {
    const directory = directoryWith(t, {
      'spillway.yaml': `${CONFIG}capabilities: models.yaml\n`,
      'models.yaml': holding(1),
    });
    assert.equal(contextOf(load(directory)), 1);
    writeFileSync(join(directory, 'models.yaml'), holding(3));
    assert.equal(contextOf(load(directory)), 3);
    writeFileSync(join(directory, 'models.yaml'), holding(-3));
    assert.equal(problemsIn(load(directory)).length, 1);
  });

  it('are missed where a file is named that is not there, or none that can be read', (t) => {
    const directory = directoryWith(t, { 'spillway.yaml': `${CONFIG}capabilities: mdoels.yaml\n` });
    const file = join(directory, 'spillway.yaml');
    assert.deepEqual(problemsIn(load(directory)), [
      `${file}:5:15: capabilities: cannot read the file "mdoels.yaml" (ENOENT)`,
    ]);
    assert.equal(good(load(directory, { readSecrets: false })).config.capabilities.size, 0);
    writeFileSync(file, CONFIG);
    mkdirSync(join(directory, 'models.yaml'));
    assert.deepEqual(problemsIn(load(directory)), [
      `${file}:1:1: capabilities: cannot read models.yaml beside this file (EISDIR)`,
    ]);
  });

  it('are wrong at their own file, line and column, after all that is wrong with the configuration', (t) => {
    const directory = directoryWith(t, {
      'spillway.yaml': `${CONFIG}aliases: { a: b }\n`,
      'models.yaml': 'models:\n  - models: [x]\n    contxt: 1k\n',
    });
    assert.deepEqual(problemsIn(load(directory)), [
      `${join(directory, 'spillway.yaml')}:5:15: aliases.a: there is no model "b"; there are: m`,
      `${join(directory, 'models.yaml')}:3:5: models[0].contxt: unknown key; did you mean context?`,
    ]);
  });

  it('never show what stands behind ${...}', (t) => {
    const directory = directoryWith(t, {
      'spillway.yaml': `${CONFIG}capabilities: "\${FILE}"\n`,
      's3cret.yaml': holding(-1),
    });
    const told = [
      ...problemsIn(load(directory, { env: { FILE: 's3cret.yaml' } })),
      ...problemsIn(load(directory, { env: { FILE: 's3cret-that-is-not-there.yaml' } })),
    ];
    assert.equal(told.length, 2);
    for (const problem of told) {
      assert.ok(!problem.includes('s3cret'), problem);
      assert.ok(problem.includes('${FILE}'), problem);
    }
    writeFileSync(join(directory, 's3cret.yaml'), holding(1));
    assert.doesNotMatch(
      good(load(directory, { env: { FILE: 's3cret.yaml' } })).capabilitiesFrom ?? '',
      /s3cret/,
    );
    assert.equal(good(load(directory, { readSecrets: false })).capabilitiesFrom, null);
  });
});

describe('what is doubtful in a file of capabilities', () => {
  it('is a warning of the configuration', (t) => {
    const directory = directoryWith(t, {
      'spillway.yaml': CONFIG,
      'models.yaml': 'models: [{ models: [x], providers: [opanai] }]\n',
    });
    assert.deepEqual(good(load(directory)).warnings.map(formatProblem), [
      `${join(directory, 'models.yaml')}:1:37: models[0].providers[0]: there is no provider "opanai"; did you mean openai?`,
    ]);
  });
});

describe('a target of which nothing is known', () => {
  const file = (models: string, more = '') => `version: 1
auth: none
providers:
  anthropic: { adapter: anthropic, api_key: k }
  bedrock: { adapter: bedrock, region: us-east-1, api_key: k }
  gemini: { adapter: gemini, api_key: k }
  vertex: { adapter: vertex, project: p, api_key: k }
  openai: { adapter: openai, api_key: k }
  azure: { adapter: azure, resource: r, api_key: k }
models: { m: { strategy: { mode: fallback }, targets: [${models}] } }
${more}`;
  const warnings = (t: TestContext, text: string, readSecrets = true) =>
    good(load(directoryWith(t, { 'spillway.yaml': text }), { readSecrets })).warnings.map(
      ({ path, message }) => `${path}: ${message}`,
    );
  const target = (provider: string, model: string) => `{ provider: ${provider}, model: "${model}" }`;

  it('is warned of where requests are made by what is known, all in one line', (t) => {
    const unknown = ['anthropic', 'bedrock', 'gemini', 'vertex', 'openai', 'azure'].map((name) =>
      target(name, 'x'),
    );
    assert.deepEqual(warnings(t, file([...unknown, target('anthropic', 'claude-9')].join(', '))), [
      'capabilities: nothing is known of anthropic/x, bedrock/x, gemini/x, vertex/x: all is sent, even what the model refuses; an entry may say what it is `like`',
    ]);
  });

  it('is not named one by one where there are many', (t) => {
    const many = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((name) => target('bedrock', name));
    const told = warnings(t, file(many.join(', ')));
    assert.match(told[0] ?? '', /nothing is known of bedrock\/a, .*bedrock\/e and 2 more: /);
    assert.equal(told.length, 1);
  });

  it('is nothing to speak of where all are known, where nothing is to be known, or where its name is not to be read', (t) => {
    assert.deepEqual(warnings(t, file(target('anthropic', 'claude-opus-5-5'))), []);
    assert.deepEqual(warnings(t, file(target('bedrock', 'x'), 'capabilities: ""\n')), []);
    assert.deepEqual(warnings(t, file(target('bedrock', '${MODEL}')), false), []);
  });
});
