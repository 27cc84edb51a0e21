import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { onFreePorts, startProcess, temporaryDirectory } from '../support/process.ts';
import { startUpstream } from '../support/upstream.ts';
import { chatBody } from './helpers.ts';

const EMPTY = {
  providers: { a: { adapter: 'vllm', base_url: 'http://127.0.0.1:9/v1' } },
  models: { m: { provider: 'a' } },
};

describe('a process that starts', () => {
  it('says where it listens, is ready then, and serves', async (t) => {
    const upstream = await startUpstream();
    t.after(() => upstream.close());
    const gateway = startProcess(t, {
      providers: { a: { adapter: 'vllm', base_url: upstream.url } },
      models: { m: { provider: 'a', model: 'up' } },
    });
    const line = await gateway.line('listening');
    assert.equal(line.level, 30);
    assert.equal(typeof line['time'], 'number');
    assert.match(String(line['listen']), /^http:\/\/127\.0\.0\.1:[1-9]\d*$/);
    assert.match(String(line['admin']), /^http:\/\/127\.0\.0\.1:[1-9]\d*$/);
    assert.equal(line['pid'], gateway.child.pid);
    assert.equal((await fetch(`${line['admin']}/readyz`)).status, 200);
    const response = await fetch(`${line['listen']}/v1/chat/completions`, {
      method: 'POST',
      body: chatBody(),
    });
    assert.equal(response.status, 200);
    const [request] = await gateway.requests(1);
    assert.equal(request?.['target'], 'a/up');
    assert.equal(gateway.stderr, '');
  });

  it('says where it listens however little else is to be said', async (t) => {
    const gateway = startProcess(t, { ...EMPTY, log: { level: 'fatal' } });
    const { admin } = await gateway.listening();
    assert.equal((await fetch(`${admin}/readyz`)).status, 200);
    gateway.child.kill('SIGTERM');
    await gateway.ended;
    assert.deepEqual(
      gateway.lines.map(({ msg }) => msg),
      ['listening'],
    );
  });

  it('takes the addresses of the command line in place of those of the file', async (t) => {
    const config = onFreePorts({ ...EMPTY, listen: '127.0.0.1:1', admin: { listen: '127.0.0.1:2' } });
    const gateway = startProcess(t, config, {
      args: ['--config', 'CONFIG', '--listen', 'localhost:0', '--admin', '127.0.0.1:0'],
    });
    const { listen, admin } = await gateway.listening();
    assert.match(listen, /^http:\/\/localhost:[1-9]\d*$/);
    assert.equal((await fetch(`${admin}/readyz`)).status, 200);
    assert.equal((await fetch(`${listen}/v1/models`)).status, 200);
  });

  it('takes the file that SPILLWAY_CONFIG names', async (t) => {
    const directory = temporaryDirectory(t);
    const file = join(directory, 'other.yaml');
    writeFileSync(file, JSON.stringify(onFreePorts(EMPTY)));
    const gateway = startProcess(t, 'not read', { args: [], env: { SPILLWAY_CONFIG: file } });
    assert.equal((await gateway.line('listening'))['models'], 1);
  });

  it('takes config/spillway.yaml where nothing is said, from where it runs', async (t) => {
    const gateway = startProcess(t, 'not read', { args: [], cwd: temporaryDirectory(t) });
    assert.deepEqual(await gateway.ended, { code: 1, signal: null });
    assert.match(gateway.stderr, /config\/spillway\.yaml.*there is no such file/);
  });

  it('tells of what loads but cannot be meant', async (t) => {
    const gateway = startProcess(t, { ...EMPTY, models: {} });
    await gateway.listening();
    const warning = await gateway.line('configuration');
    assert.equal(warning.level, 40);
    assert.match(String(warning['problem']), /models.*no model to ask for/);
  });
});

describe('a faulty configuration', () => {
  it('ends it with status 1 and every problem on stderr, each with its place', async (t) => {
    const text = [
      'version: 1',
      'auth: none',
      'providers:',
      '  a: { adapter: openia, base_url: "http://127.0.0.1:9/v1" }',
      'models:',
      '  m: { provider: b }',
      'retires: 5',
      'admin: { listen: "0.0.0.0:9090" }',
    ].join('\n');
    const gateway = startProcess(t, text);
    assert.deepEqual(await gateway.ended, { code: 1, signal: null });
    const problems = gateway.stderr.trimEnd().split('\n');
    assert.equal(problems.length, 4, gateway.stderr);
    assert.match(gateway.stderr, /spillway\.yaml:4:\d+: providers\.a\.adapter: .*did you mean openai/);
    assert.match(gateway.stderr, /spillway\.yaml:6:\d+: models\.m\.provider: there is no provider/);
    assert.match(gateway.stderr, /spillway\.yaml:7:1: retires: unknown key/);
    assert.match(gateway.stderr, /spillway\.yaml:8:\d+: admin\.token: missing/);
    assert.equal(gateway.stdout, '');
  });

  it('names the variable that is not set, and shows no secret', async (t) => {
    const gateway = startProcess(
      t,
      {
        providers: {
          a: { adapter: 'openai', api_key: '${NOT_SET_HERE}' },
          b: { adapter: 'openai', api_key: '${SET_HERE}' },
        },
        models: { m: { provider: 'a' } },
      },
      { env: { SET_HERE: 'sk-a key with spaces' } },
    );
    assert.equal((await gateway.ended).code, 1);
    assert.match(gateway.stderr, /providers\.a\.api_key: .*NOT_SET_HERE is not set/);
    assert.match(gateway.stderr, /providers\.b\.api_key/);
    assert.doesNotMatch(gateway.stderr, /with spaces/);
  });

  it('ends it with status 1 where --admin lets others in and there is no token', async (t) => {
    const gateway = startProcess(t, EMPTY, { args: ['--config', 'CONFIG', '--admin', '0.0.0.0:0'] });
    assert.equal((await gateway.ended).code, 1);
    assert.match(gateway.stderr, /--admin.*admin\.token/);
  });
});

describe('wrong usage', () => {
  const wrong: Record<string, string[]> = {
    'an option that there is not': ['--confg', 'x'],
    'a word that belongs nowhere': ['start'],
    'an address that is none': ['--listen', 'here'],
  };
  for (const [what, args] of Object.entries(wrong)) {
    it(`ends it with status 2 where there is ${what}`, async (t) => {
      const gateway = startProcess(t, EMPTY, { args });
      assert.deepEqual(await gateway.ended, { code: 2, signal: null });
      assert.match(gateway.stderr, /^spillway: /);
      assert.match(gateway.stderr, /usage: .*--config FILE/);
      assert.equal(gateway.stdout, '');
    });
  }
});

for (const listener of ['listen', 'admin']) {
  it(`a port for --${listener} that another process has ends it with status 1, and says so`, async (t) => {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const gateway = startProcess(t, EMPTY, { args: ['--config', 'CONFIG', `--${listener}`, address] });
    assert.deepEqual(await gateway.ended, { code: 1, signal: null });
    assert.ok(gateway.stderr.includes(address), gateway.stderr);
    assert.match(gateway.stderr, /Another process has this port/);
    assert.doesNotMatch(gateway.stdout, /listening/);
  });
}
