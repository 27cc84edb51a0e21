import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { cli } from './helpers.ts';
import { writeTemporary } from './temporary.ts';

const FILE = `version: 1
auth: none
providers: { one: { adapter: anthropic, api_key: k }, two: { adapter: vllm } }
models:
  m:
    strategy: { mode: fallback }
    cache: { markers: auto }
    targets:
      - { provider: one, model: claude-opus-5-5, strict_params: true }
      - { provider: two, model: mine }
`;

const MINE = `models:
  - { models: [mine], context: 8k, max_output: 1k, refuses: [seed], prefill: true }
  - { models: ["claude-*"] }
`;

test('check says which file tells of models, and how many entries it has', async (t) => {
  const file = writeTemporary(t, FILE);
  assert.match((await cli(['check', file])).out, /\n {2}capabilities built in \(\d\d entries\)\n/);
  const models = join(dirname(file), 'models.yaml');
  writeFileSync(models, MINE);
  assert.match(
    (await cli(['check', file])).out,
    new RegExp(`\\n {2}capabilities ${models} \\(2 entries\\)\\n`),
  );
  writeFileSync(file, `${FILE}capabilities: ""\n`);
  assert.match((await cli(['check', file])).out, /\n {2}capabilities -\n/);
});

test('check says what is wrong with that file where it stands', async (t) => {
  const file = writeTemporary(t, FILE);
  const models = join(dirname(file), 'models.yaml');
  writeFileSync(models, 'models:\n  - { models: [m], prefill: perhaps }\n');
  const { status, err } = await cli(['check', file]);
  assert.equal(status, 1);
  assert.equal(
    err,
    `${models}:2:29: models[0].prefill: expected \`true\` or \`false\`, found "perhaps"\n1 problem\n`,
  );
});

test('check warns once of targets that nothing is known of, where that matters', async (t) => {
  const file = writeTemporary(t, FILE);
  assert.equal((await cli(['check', file])).err, '');
  writeFileSync(join(dirname(file), 'models.yaml'), 'models: [{ models: [mine] }]\n');
  const { status, err } = await cli(['check', file]);
  assert.equal(status, 0);
  assert.match(
    err,
    /^warning: .*spillway\.yaml:1:1: capabilities: nothing is known of one\/claude-opus-5-5: .*\n$/,
  );
});

test('explain tells of each target what is known of its model, in the words of the file', async (t) => {
  const file = writeTemporary(t, FILE);
  const models = join(dirname(file), 'models.yaml');
  const { status, out } = await cli(['explain', 'm', '--config', file]);
  assert.equal(status, 0);
  const [, claude = '', mine = ''] = out.split(/\n {4}(?=one\/|two\/)/);
  assert.match(claude, /\n {6}capabilities\.context: 1000000 {2}# built in\n/);
  assert.match(claude, /\n {6}capabilities\.max_output: 128000 {2}# built in\n/);
  assert.match(claude, /\n {6}capabilities\.refuses: \["temperature","top_p","top_k"\] {2}# built in\n/);
  assert.match(claude, /\n {6}capabilities\.forced_tools: false {2}# built in\n/);
  assert.doesNotMatch(claude, /capabilities\.(prefill|thinking_config)/);
  assert.match(mine, /\n {6}capabilities: unknown {2}# built in\n$/);

  writeFileSync(models, MINE);
  const { out: own } = await cli(['explain', 'm', '--config', file]);
  const said = own.split('\n').filter((line) => line.includes('capabilities'));
  assert.deepEqual(
    said.map((line) => line.trim().replace(`  # ${models}`, '')),
    [
      'capabilities: nothing special',
      'capabilities.context: 8000',
      'capabilities.max_output: 1000',
      'capabilities.refuses: ["seed"]',
      'capabilities.prefill: true',
    ],
  );

  writeFileSync(file, `${FILE}capabilities: ""\n`);
  assert.doesNotMatch((await cli(['explain', 'm', '--config', file])).out, /capabilities/);
});

test('explain says of a file that extends the built-in one only what stands in that file', async (t) => {
  const file = writeTemporary(t, FILE);
  const models = join(dirname(file), 'models.yaml');
  const explained = async () => {
    const { out } = await cli(['explain', 'm', '--config', file]);
    const [, claude = '', mine = ''] = out.split(/\n {4}(?=one\/|two\/)/);
    return { claude, mine };
  };
  writeFileSync(models, 'extends: built-in\nmodels: [{ models: [mine], context: 8k }]\n');
  const first = await explained();
  assert.match(first.claude, /\n {6}capabilities\.context: 1000000 {2}# built in\n/);
  assert.ok(!first.claude.includes(models));
  assert.ok(first.mine.includes(`capabilities.context: 8000  # ${models}\n`));
  // What is known of neither is unknown to the file that is at work.
  writeFileSync(models, 'extends: built-in\nmodels: [{ models: [claude-opus-5-5], context: 8k }]\n');
  const second = await explained();
  assert.ok(second.claude.endsWith(`capabilities.context: 8000  # ${models}`));
  assert.ok(!second.claude.includes('capabilities.max_output'));
  assert.ok(second.mine.includes(`capabilities: unknown  # ${models}\n`));
});

test('explain tells of strictness and markers, and where they come from', async (t) => {
  const { out } = await cli(['explain', 'm', '--config', writeTemporary(t, FILE)]);
  const [, claude = '', mine = ''] = out.split(/\n {4}(?=one\/|two\/)/);
  assert.match(claude, /\n {6}strict_params: true {2}# models\.m\.targets\[0\]\n/);
  assert.match(mine, /\n {6}strict_params: false {2}# built in\n/);
  assert.match(claude, /\n {6}cache\.markers: "auto" {2}# models\.m\n/);
});
