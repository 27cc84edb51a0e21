import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { cli } from './helpers.ts';
import { writeTemporary } from './temporary.ts';

const FILE = `version: 1
providers: { one: { adapter: openai, api_key: "\${KEY}" }, two: { adapter: vllm } }
defaults: { timeouts: { idle: 7s } }
models:
  smart:
    strategy: { mode: loadbalance }
    retry: { attempts: 4, backoff: { max: 3s } }
    override_params: { user: "\${WHO}", temperature: 0.5, stop: [a, "\${WHO}"] }
    targets:
      - { provider: one, model: big, weight: 3 }
      - { name: spare, provider: two, override_params: { temperature: null } }
aliases: { best: smart }
tenants: [{ id: acme, keys: [{ id: ci, key: "\${CLIENT}" }] }]
`;
const ENV = { KEY: 'sk-very-secret', WHO: 'me-myself-secret', CLIENT: 'sw-client-secret' };

test('check says in short what was understood, and exits with 0', async (t) => {
  const file = writeTemporary(t, FILE);
  const { status, out, err } = await cli(['check', file], ENV);
  assert.equal(status, 0);
  assert.equal(err, '');
  assert.match(out, /is valid/);
  assert.match(out, /providers +one, two\n/);
  assert.match(out, /aliases +best -> smart\n/);
  assert.match(out, /tenants +acme \(1 key\)\n/);
  assert.doesNotMatch(out, /secret/);
});

test('check prints all problems as file:line:column, and exits with 1', async (t) => {
  const file = writeTemporary(t, FILE.replace('idle', 'idel').replace('big', ''));
  const { status, out, err } = await cli(['check', file], ENV);
  assert.equal(status, 1);
  assert.equal(out, '');
  const lines = err.trimEnd().split('\n');
  assert.equal(lines.length, 3, err);
  assert.equal(lines[0], `${file}:3:25: defaults.timeouts.idel: unknown key; did you mean idle?`);
  assert.ok(lines[1]?.startsWith(`${file}:10:`));
  assert.equal(lines[2], '2 problems');
});

test('check --no-env needs no secrets, and still finds what is wrong', async (t) => {
  const file = writeTemporary(t, FILE);
  assert.equal((await cli(['check', file])).status, 1);
  const { status, out } = await cli(['check', '--no-env', file]);
  assert.equal(status, 0);
  assert.match(out, /secrets were not looked at/);
  const faulty = writeTemporary(t, FILE.replace('two: {', 'tow: {'));
  assert.equal((await cli(['check', faulty, '--no-env'])).status, 1);
});

test('check prints warnings and passes', async (t) => {
  const { status, err } = await cli(['check', writeTemporary(t, 'version: 1\nauth: none\n')]);
  assert.equal(status, 0);
  assert.match(err, /^warning: .*models: there is no model to ask for/);
});

test('the file is the one named, else that of SPILLWAY_CONFIG', async (t) => {
  const file = writeTemporary(t, 'version: 3\n');
  assert.match((await cli(['check'], { SPILLWAY_CONFIG: file })).err, /version: expected 1/);
  assert.match((await cli(['explain', 'm'], { SPILLWAY_CONFIG: file })).err, /version: expected 1/);
  assert.match(
    (await cli(['check', '/nowhere.yaml'], { SPILLWAY_CONFIG: file })).err,
    /nowhere\.yaml: there is no such file/,
  );
});

test('explain prints the tree, what each target inherits and from where', async (t) => {
  const file = writeTemporary(t, FILE);
  const { status, out } = await cli(['explain', 'best', '--config', file], ENV);
  assert.equal(status, 0);
  assert.match(out, /^best \(an alias of smart\)\n {2}loadbalance {2}# models\.smart\n/);
  assert.match(out, /\n {4}one\/big {2}# models\.smart\.targets\[0\], weight 3\n/);
  assert.match(out, /\n {4}two\/smart {2}# spare, weight 1\n/);
  assert.match(out, /\n {6}override_params\.temperature: 0\.5 {2}# models\.smart\n/);
  assert.match(out, /\n {6}override_params\.temperature: null {2}# models\.smart\.targets\[1\]\n/);
  assert.match(out, /\n {6}retry\.attempts: 4 {2}# models\.smart\n/);
  assert.match(out, /\n {6}retry\.backoff\.max: 3s {2}# models\.smart\n/);
  assert.match(out, /\n {6}retry\.backoff\.base: 500ms {2}# built in\n/);
  assert.match(out, /\n {6}timeouts\.idle: 7s {2}# defaults\n/);
});

test('explain shows what came from the environment as it was written', async (t) => {
  const { out } = await cli(['explain', 'smart', '--config', writeTemporary(t, FILE)], ENV);
  assert.match(out, /override_params\.user: "\$\{WHO\}"/);
  assert.match(out, /override_params\.stop: \["a","\$\{WHO\}"\]/);
  assert.doesNotMatch(out, /secret/);
});

test('explain of an unknown model names the nearest one', async (t) => {
  const { status, err } = await cli(['explain', 'smrat', '--config', writeTemporary(t, FILE)], ENV);
  assert.equal(status, 2);
  assert.match(err, /has no model "smrat"; did you mean smart\?/);
});

test('explain knows direct models', async (t) => {
  const file = writeTemporary(t, `${FILE}direct_models: true\n`);
  const { status, out } = await cli(['explain', 'two/any', '--config', file], ENV);
  assert.equal(status, 0);
  assert.match(out, /two\/any/);
});

test('key prints a new key of 256 bits and the line for it', async () => {
  const { status, out } = await cli(['key']);
  assert.equal(status, 0);
  const key = /^ {2}(sw-[\w-]+)$/m.exec(out)?.[1] ?? '';
  const hash = /^ {2}sha256: "([0-9a-f]{64})"$/m.exec(out)?.[1];
  assert.equal(Buffer.from(key.slice(3), 'base64url').length, 32);
  assert.equal(hash, createHash('sha256').update(key).digest('hex'));
  assert.notEqual((await cli(['key'])).out, out);
});

test('help, --help and --version answer with 0', async () => {
  for (const args of [['help'], ['--help'], ['-h'], ['check', '--help']]) {
    const { status, out } = await cli(args);
    assert.equal(status, 0);
    assert.match(out, /^Usage: spillway COMMAND/);
  }
  assert.match((await cli(['--version'])).out, /^\d+\.\d+\.\d+\n$/);
});

for (const args of [
  [],
  ['chek'],
  ['explain'],
  ['explain', 'a', 'b'],
  ['check', 'a', 'b'],
  ['check', '--nope'],
  ['key', 'x'],
]) {
  test(`spillway ${args.join(' ')} is wrong usage`, async () => {
    const { status, out, err } = await cli(args);
    assert.equal(status, 2);
    assert.equal(out, '');
    assert.match(err, /^spillway: .*\n\nUsage/s);
  });
}

test('the file that starts it all passes check --no-env', async () => {
  const file = join(import.meta.dirname, '../../config/spillway.yaml');
  assert.equal((await cli(['check', '--no-env', file])).status, 0);
});

test('explain tells what may be asked of a provider, and shows what came from the environment as it was written', async (t) => {
  const file = writeTemporary(
    t,
    `version: 1
auth: none
providers:
  held: { adapter: vllm, limits: { requests: 500/minute, tokens: "\${TPM}", concurrent: 50 }, adaptive: true }
  free: { adapter: vllm }
models:
  held: { provider: held }
  free: { provider: free }
`,
  );
  const env = { TPM: '2000000/minute' };
  const held = (await cli(['explain', 'held', '--config', file], env)).out;
  for (const line of [
    'limits.requests: 500/minute',
    'limits.tokens: ${TPM}',
    'limits.concurrent: 50',
    'adaptive: true',
  ]) {
    assert.ok(held.includes(`  ${line}  # of the provider held\n`), line);
  }
  const free = (await cli(['explain', 'free', '--config', file], env)).out;
  assert.match(free, /^ +adaptive: false {2}# of the provider free$/m);
  assert.doesNotMatch(free, /limits/);
  const unread = (await cli(['explain', 'held', '--no-env', '--config', file])).out;
  assert.match(unread, /limits\.tokens: \$\{TPM\} /);
});
