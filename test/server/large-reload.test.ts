import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { LARGE } from '../../src/config/aside.ts';
import { type GatewayProcess, onFreePorts, startProcess } from '../support/process.ts';
import { startUpstream } from '../support/upstream.ts';
import { chatBody } from './helpers.ts';

const OTHERS = 3000;

/** A gateway that `sw-first` may call; its file has no more tenants than that, so far. */
async function start(t: TestContext) {
  const upstream = await startUpstream();
  t.after(() => upstream.close());
  const config = (tenants: object[]) => ({
    auth: 'keys',
    providers: { a: { adapter: 'vllm', base_url: upstream.url } },
    models: { m: { provider: 'a' } },
    tenants,
  });
  const gateway = startProcess(t, config([tenant('first', 'sw-first')]));
  return { gateway, config, ...(await gateway.listening()) };
}

function tenant(id: string, key: string) {
  const sha256 = createHash('sha256').update(key).digest('hex');
  return { id, keys: [{ id: 'only', sha256 }], quotas: [{ limit: 1000, of: 'requests', per: 'minute' }] };
}

/** These, and thousands of others. */
function many(...tenants: object[]): object[] {
  return [...Array.from({ length: OTHERS }, (_, i) => tenant(`t-${i}`, `sw-${i}`)), ...tenants];
}

function writeLarge(gateway: GatewayProcess, config: object): void {
  gateway.writeConfig(onFreePorts(config));
  assert.ok(statSync(gateway.file).size > LARGE);
}

async function chat(listen: string, key: string): Promise<number> {
  const headers = { authorization: `Bearer ${key}` };
  const answer = await fetch(`${listen}/v1/chat/completions`, { method: 'POST', headers, body: chatBody() });
  await answer.arrayBuffer();
  return answer.status;
}

async function reload(admin: string): Promise<{ status: number; text: string }> {
  const answer = await fetch(`${admin}/admin/reload`, { method: 'POST' });
  return { status: answer.status, text: await answer.text() };
}

describe('a reload of a large file', () => {
  it('leaves the loop to requests, which go by what was there before until it is taken over', async (t) => {
    const { gateway, config, listen, admin } = await start(t);
    writeLarge(gateway, config(many(tenant('second', 'sw-second'))));
    let over = false;
    const reloaded = reload(admin).finally(() => {
      over = true;
    });
    const meanwhile: number[] = [];
    while (!over) meanwhile.push(await chat(listen, 'sw-first'));
    assert.deepEqual(await reloaded, { status: 200, text: '{"status":"reloaded"}' });
    // Reading takes a hundred times as long as a request; where it holds them up, one or two are answered.
    assert.ok(meanwhile.length > 10, `${meanwhile.length} requests`);
    assert.deepEqual(new Set(meanwhile.slice(0, 10)), new Set([200]));
    assert.deepEqual(
      [await chat(listen, 'sw-second'), await chat(listen, 'sw-2999'), await chat(listen, 'sw-first')],
      [200, 200, 401],
    );
  });

  it('comes before one that is asked for meanwhile', async (t) => {
    const { gateway, config, listen, admin } = await start(t);
    const ends: string[] = [];
    writeLarge(gateway, config(many(tenant('second', 'sw-second'))));
    const large = reload(admin).then(({ status }) => ends.push(`large ${status}`));
    // It is being read when somebody can call again.
    await chat(listen, 'sw-first');
    gateway.writeConfig(onFreePorts(config([tenant('third', 'sw-third')])));
    const small = reload(admin).then(({ status }) => ends.push(`small ${status}`));
    await Promise.all([large, small]);
    assert.deepEqual(ends, ['large 200', 'small 200']);
    assert.deepEqual([await chat(listen, 'sw-second'), await chat(listen, 'sw-third')], [401, 200]);
    assert.equal(gateway.lines.filter(({ msg }) => msg === 'reloaded').length, 2);
  });

  it('is refused where it is faulty, with the place and without secrets', async (t) => {
    const { gateway, config, listen, admin } = await start(t);
    const key = 'sw-key that-nobody-can-send';
    writeLarge(gateway, config(many({ id: 'second', keys: [{ id: 'only', key }] })));
    const { status, text } = await reload(admin);
    assert.equal(status, 422);
    assert.equal(JSON.parse(text).error.code, 'invalid_configuration');
    assert.match(text, /spillway\.yaml:\d{5}:\d+: tenants\[3000\]\.keys\[0\]\.key: /);
    assert.doesNotMatch(text + gateway.stdout, /that-nobody-can-send/);
    assert.equal(await chat(listen, 'sw-first'), 200);
    writeLarge(gateway, config(many(tenant('second', 'sw-second'))));
    assert.equal((await reload(admin)).status, 200);
    assert.equal(await chat(listen, 'sw-second'), 200);
  });
});
