import assert from 'node:assert/strict';
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { AUTHORITY, SERVER_FILES } from '../support/certificates.ts';
import { temporaryDirectory } from '../support/process.ts';
import { RawClient } from '../support/raw-http.ts';
import { until } from '../support/rig.ts';
import { chatStream, Gate, pauseUntil } from '../support/upstream.ts';
import { chatBody, chatHead, serve } from './helpers.ts';

const CERTIFICATES = fileURLToPath(new URL('../support/certificates/', import.meta.url));

async function serveTls(t: TestContext) {
  const directory = temporaryDirectory(t);
  const files = { cert: join(directory, 'cert.pem'), key: join(directory, 'key.pem') };
  const install = (name: string) => copyFileSync(join(CERTIFICATES, name), files.cert);
  install('server.pem');
  copyFileSync(join(CERTIFICATES, 'server-key.pem'), files.key);
  return { ...(await serve(t, { server: { tls: files } })), files, install };
}

/** The name in the certificate that a new connection is shown. */
async function certificateOf(origin: string): Promise<string> {
  const { hostname, port } = new URL(origin);
  const socket = await new Promise<TLSSocket>((resolve, reject) => {
    const options = {
      host: hostname,
      port: Number(port),
      ca: AUTHORITY,
      checkServerIdentity: () => undefined,
    };
    const connected = connect(options, () => resolve(connected)).on('error', reject);
  });
  const { subject } = socket.getPeerCertificate();
  socket.destroy();
  return String(subject.CN);
}

const AN_HOUR = 3_600_000;

/** Fails if this never comes about while the client stays; then it goes, so that the gateway can end. */
async function comesAbout(what: Promise<void>, client: RawClient): Promise<void> {
  let isSo = false;
  const seen = what.then(() => {
    isSo = true;
  });
  try {
    await until(() => isSo);
  } finally {
    client.destroy();
  }
  await seen;
}

describe('a listener with a certificate', () => {
  it('serves over TLS, answers and streams alike', async (t) => {
    const { gateway } = await serve(t, { server: { tls: SERVER_FILES } });
    assert.match(gateway.origin, /^https:/);
    for (const stream of [false, true]) {
      const body = chatBody({ stream });
      const client = await RawClient.connect(gateway.origin, AUTHORITY);
      const head = chatHead({ 'content-length': body.length, connection: 'close' });
      await client.send(head + body);
      const text = await client.rest();
      assert.match(text, /^HTTP\/1\.1 200 /);
      assert.match(text, stream ? /"Hello".*\[DONE\]/s : /Hello from upstream\./);
    }
  });

  it('refuses a body that is too large with an answer that gets through', async (t) => {
    const { gateway } = await serve(t, { server: { tls: SERVER_FILES, max_body: '1kb' } });
    const client = await RawClient.connect(gateway.origin, AUTHORITY);
    await client.send(chatHead({ 'content-length': 100_000 }));
    await client.send('x'.repeat(100_000));
    assert.equal((await client.response()).status, 413);
    await client.closed;
  });
});

describe('a connection that never shakes hands', () => {
  for (const [name, bytes] of [
    ['says nothing', ''],
    ['stops in the middle', '\x16\x03\x01'],
  ] as const) {
    const begun = async (t: TestContext, headers: number) => {
      const { gateway } = await serve(t, { server: { tls: SERVER_FILES } }, { limits: { headers } });
      const client = await RawClient.connect(gateway.origin);
      await client.send(bytes);
      return { gateway, client };
    };

    it(`is closed when the time for the headers of a request is over (${name})`, async (t) => {
      const { client } = await begun(t, 50);
      await comesAbout(client.closed, client);
    });

    it(`is closed when the gateway drains, which ends without it (${name})`, async (t) => {
      const { gateway, client } = await begun(t, AN_HOUR);
      // They are taken in the order in which they came: the gateway has the one before, too.
      await certificateOf(gateway.origin);
      await comesAbout(gateway.app.drain(), client);
      await client.closed;
    });

    it(`is closed when the gateway is ended at once (${name})`, async (t) => {
      const { gateway, client } = await begun(t, AN_HOUR);
      await certificateOf(gateway.origin);
      await comesAbout(gateway.close(), client);
      await client.closed;
    });
  }

  it('is all that is closed then: a stream goes on to its end', async (t) => {
    const { gateway, upstream } = await serve(t, { server: { tls: SERVER_FILES } });
    const finish = new Gate();
    upstream.enqueue(chatStream({ content: ['Hel', pauseUntil(finish), 'lo'] }));
    const body = chatBody({ stream: true });
    const client = await RawClient.connect(gateway.origin, AUTHORITY);
    await client.send(chatHead({ 'content-length': body.length }) + body);
    await client.waitFor('"Hel"');
    const drained = gateway.app.drain();
    finish.open();
    assert.match(await client.rest(), /\[DONE\]/);
    await drained;
  });
});

describe('a certificate that is renewed', () => {
  it('is shown to new connections after a reload, while a stream goes on', async (t) => {
    const { gateway, upstream, install } = await serveTls(t);
    assert.equal(await certificateOf(gateway.origin), 'server');
    const gate = new Gate();
    upstream.enqueue(chatStream({ content: ['Hel', pauseUntil(gate), 'lo'] }));
    const body = chatBody({ stream: true });
    const client = await RawClient.connect(gateway.origin, AUTHORITY);
    await client.send(chatHead({ 'content-length': body.length }) + body);
    await client.waitFor('"Hel"');

    install('elsewhere.pem');
    assert.equal(await certificateOf(gateway.origin), 'server', 'it was shown before the reload');
    assert.deepEqual(await gateway.app.reload(), { ok: true });
    assert.equal(await certificateOf(gateway.origin), 'elsewhere');
    gate.open();
    await client.waitFor('[DONE]');
    client.destroy();
  });

  it('stays the one before where the new one does not go with its key, or is none', async (t) => {
    const { gateway, files, install } = await serveTls(t);
    for (const wrong of ['authority.pem', null]) {
      if (wrong === null) writeFileSync(files.cert, 'no certificate');
      else install(wrong);
      const result = await gateway.app.reload();
      assert.ok(!result.ok);
      assert.match(result.problems.join('\n'), /server\.tls\.cert/);
      assert.equal(await certificateOf(gateway.origin), 'server');
    }
  });

  it('cannot be given to a listener that had none, without a restart', async (t) => {
    const { gateway, configWith } = await serve(t);
    gateway.changeConfig(configWith({ server: { tls: SERVER_FILES } }));
    assert.deepEqual(await gateway.app.reload(), {
      ok: false,
      problems: ['server.tls (on or off) cannot change while running: restart instead'],
    });
  });
});
