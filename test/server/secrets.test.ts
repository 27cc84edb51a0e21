import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { run } from '../../src/cli/main.ts';
import { startProcess } from '../support/process.ts';
import { startProxy } from '../support/proxy.ts';
import {
  apiError,
  chatAnswer,
  chatEvents,
  htmlPage,
  plain,
  startUpstream,
  stream,
} from '../support/upstream.ts';
import { chatBody } from './helpers.ts';

/** With all that texts write in more ways than one: quotes, backslashes, slashes, plus and percent signs. */
const SECRETS = {
  provider: 'sk-provider/0123+456"78\\9%zz',
  pooled: 'sk-pooled-key-0123456789',
  renewed: 'sk-renewed-key-0123456789',
  header: 'header-value-0123456789',
  proxy: 'proxy-password-0123456789',
  tenant: 'sw-tenant-key-0123456789',
  hashed: 'sw-hashed-key-0123456789',
  wrong: 'sw-unknown-key-0123456789',
  admin: 'admin-token-0123456789',
};
/** What a key's own digits are in whatever is written round them. */
const DISTINCTIVE =
  /sk-provider|0123\+456|sk-pooled|sk-renewed|header-value|proxy-password|sw-tenant|sw-hashed|sw-unknown|admin-token/;

const ENV = {
  PROVIDER_KEY: SECRETS.provider,
  POOLED_KEY: SECRETS.pooled,
  RENEWED_KEY: SECRETS.renewed,
  HEADER: SECRETS.header,
  TENANT_KEY: SECRETS.tenant,
  ADMIN_TOKEN: SECRETS.admin,
};

describe('secrets', () => {
  it('are in nothing that the gateway writes or answers in a whole session, whatever upstreams say', async (t) => {
    const upstream = await startUpstream();
    const proxy = await startProxy({ credentials: 'user:another' });
    t.after(async () => {
      await upstream.close();
      await proxy.close();
    });
    const config = (changes: object = {}) => ({
      version: 1,
      listen: '127.0.0.1:0',
      admin: { listen: '127.0.0.1:0', token: '${ADMIN_TOKEN}' },
      auth: 'keys',
      tenants: [
        {
          id: 'acme',
          keys: [
            { id: 'plain', key: '${TENANT_KEY}' },
            { id: 'hashed', sha256: createHash('sha256').update(SECRETS.hashed).digest('hex') },
          ],
        },
      ],
      providers: {
        a: {
          adapter: 'openai',
          base_url: upstream.url,
          api_key: '${PROVIDER_KEY}',
          headers: { 'x-secret': '${HEADER}' },
        },
        pool: {
          adapter: 'openai',
          base_url: upstream.url,
          api_keys: ['${POOLED_KEY}', 'sk-second-of-the-pool'],
        },
        proxied: {
          adapter: 'openai',
          base_url: 'http://upstream.test/v1',
          api_key: '${PROVIDER_KEY}',
          proxy: `http://user:${SECRETS.proxy}@${proxy.host}`,
        },
      },
      direct_models: true,
      defaults: { retry: { attempts: 0 }, breaker: { consecutive_failures: 100 } },
      models: { m: { provider: 'a', override_params: { user: '${HEADER}' } }, p: { provider: 'pool' } },
      log: { level: 'trace', request_bodies: true },
      ...changes,
    });
    const gateway = startProcess(t, config(), { env: ENV });
    const { listen, admin } = await gateway.listening();
    const said: string[] = [];
    const ask = async (url: string, init: RequestInit) => {
      const response = await fetch(url, init);
      said.push(
        `${url.split('?')[0]} ${response.status} ${JSON.stringify([...response.headers])} ${await response.text()}`,
      );
      return response.status;
    };
    const chat = (body: object = {}, key: string = SECRETS.tenant) =>
      ask(`${listen}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}` },
        body: chatBody(body),
      });
    const operate = (path: string, method: string, token: string) =>
      ask(`${admin}${path}`, { method, headers: { authorization: `Bearer ${token}` } });
    const reload = () => operate('/admin/reload', 'POST', SECRETS.admin);

    // What goes well.
    assert.equal(await chat(), 200);
    assert.equal(await chat({ stream: true }, SECRETS.hashed), 200);
    const [first] = upstream.requests;
    assert.equal(first?.headers['authorization'], `Bearer ${SECRETS.provider}`);
    assert.equal(first?.headers['x-secret'], SECRETS.header);

    // Upstreams that repeat what they were sent, in every way they can.
    const echo = `Unexpected value ${SECRETS.provider} beside ${SECRETS.header}`;
    const escaped = JSON.stringify({ error: { message: echo, type: null, param: null, code: null } });
    const json = { 'content-type': 'application/json' };
    const answers = [
      apiError(400, { message: echo, type: SECRETS.header, param: SECRETS.header, code: SECRETS.provider }),
      plain({ status: 400, text: escaped.replaceAll('/', '\\/'), headers: json }),
      plain({
        status: 400,
        text: escaped.replaceAll('\\"', '\\u0022').replaceAll('+', '\\u002B'),
        headers: json,
      }),
      plain({ status: 422, json: { detail: [{ msg: echo }] } }),
      plain({ status: 400, json: { error: echo } }),
      plain({ status: 400, json: { object: 'error', message: echo } }),
      plain({ status: 500, text: echo }),
      plain({ status: 200, text: echo }),
      plain({ status: 200, json: { error: { message: echo } } }),
      apiError(500, { message: `at /v1?key=${encodeURIComponent(SECRETS.provider)}` }),
      htmlPage(502),
      apiError(
        400,
        {},
        { 'x-echo': SECRETS.header, 'set-cookie': SECRETS.header, 'x-ratelimit-limit': SECRETS.header },
      ),
      chatAnswer({ headers: { 'x-echo': SECRETS.header, server: SECRETS.header } }),
    ];
    for (const answer of answers) {
      upstream.enqueue(answer);
      await chat();
    }
    const events = chatEvents({ content: ['Hello'] }).slice(0, 2);
    for (const items of [[{ error: { message: echo } }], [...events, { error: { message: echo } }]]) {
      upstream.enqueue(stream(items));
      await chat({ stream: true });
    }
    for (const model of ['p', 'a/refused', 'proxied/any']) {
      upstream.enqueue(apiError(401, { message: `${echo} ${SECRETS.pooled}` }));
      upstream.enqueue(apiError(401, { message: `${echo} ${SECRETS.pooled}` }));
      await chat({ model });
    }
    upstream.dropConnections('reset');

    // Clients and operators with keys that are none, and keys in the wrong places.
    assert.equal(await chat({}, SECRETS.wrong), 401);
    assert.equal(await chat({}, SECRETS.admin), 401);
    await ask(`${listen}/v1/nothing?key=${SECRETS.tenant}`, {});
    await ask(`${listen}/v1/models`, { headers: { authorization: `Basic ${SECRETS.tenant}` } });
    for (const path of ['/v1/models', '/v1/usage', '/v1/models/m']) {
      await ask(listen + path, { headers: { authorization: `Bearer ${SECRETS.tenant}` } });
    }
    for (const token of [SECRETS.admin, SECRETS.tenant, SECRETS.wrong]) {
      await operate('/admin/upstreams', 'GET', token);
    }

    // Reloads: with another key, with faults in and beside secrets, with secrets in the file itself.
    gateway.writeConfig(
      config({
        providers: { a: { adapter: 'openai', base_url: upstream.url, api_key: '${RENEWED_KEY}' } },
        models: { m: { provider: 'a' } },
      }),
    );
    assert.equal(await reload(), 200);
    upstream.enqueue(apiError(500, { message: `${echo} and ${SECRETS.renewed}` }));
    await chat();
    const faulty = [
      { adapter: 'openai', api_key: `${SECRETS.renewed} with a space` },
      { adapter: 'openai', api_key: { key: SECRETS.renewed } },
      { adapter: 'openai', api_key: SECRETS.renewed, proxy: `socks://user:${SECRETS.proxy}@host` },
      { adapter: 'openai', api_key: SECRETS.renewed, base_url: `https://user:${SECRETS.proxy}@host/v1` },
      { adapter: 'openai', api_key: SECRETS.renewed, headers: { 'bad name': SECRETS.header } },
      { adapter: 'openai', api_key: SECRETS.renewed, headers: { 'x-a': `${SECRETS.header}\n` } },
      { adapter: 'openai', api_keys: [SECRETS.renewed, ''] },
    ];
    for (const a of faulty) {
      gateway.writeConfig(config({ providers: { a }, models: { m: { provider: 'a' } } }));
      assert.equal(await reload(), 422, JSON.stringify(a));
    }
    gateway.writeConfig(config({ tenants: [{ id: 'acme', keys: [{ id: 'a', sha256: SECRETS.tenant }] }] }));
    assert.equal(await reload(), 422);
    gateway.writeConfig(config({ admin: { listen: '127.0.0.1:0', token: `${SECRETS.admin} two words` } }));
    assert.equal(await reload(), 422);
    said.push(await (await fetch(`${admin}/metrics`)).text());

    // What the command line shows of the same file.
    gateway.writeConfig(config());
    for (const args of [
      ['check', gateway.file],
      ['explain', 'm', '--config', gateway.file],
      ['explain', 'proxied/any', '--config', gateway.file],
    ]) {
      const keep = (text: string) => void said.push(text);
      assert.equal(await run(args, { env: ENV, out: keep, err: keep }), 0, said.at(-1));
    }

    gateway.child.kill('SIGTERM');
    assert.equal((await gateway.ended).code, 0);
    said.push(gateway.stdout, gateway.stderr);
    for (const text of said) assert.doesNotMatch(text, DISTINCTIVE);
    // They were there to be told: the words round them are.
    const redacted = said.filter((text) => text.includes('[redacted]')).length;
    assert.ok(redacted >= 8, `only ${redacted}`);

    // And clients' own keys went nowhere.
    for (const { rawHeaders, body } of upstream.requests) {
      assert.doesNotMatch(JSON.stringify(rawHeaders) + body.toString(), /sw-|admin-token/);
    }
  });
});
