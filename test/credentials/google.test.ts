import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { Credentials, UnsignedCall } from '../../src/credentials/credentials.ts';
import { CredentialsError } from '../../src/credentials/credentials.ts';
import { type GoogleToken, googleCredentials } from '../../src/credentials/google.ts';
import { ManualClock } from '../support/manual-clock.ts';

const CALL: UnsignedCall = { method: 'POST', url: new URL('https://x.test/'), headers: {}, body: [] };
const HOUR = 3_600_000;

/** A source whose lookups are answered by hand. */
function source() {
  const waiting: { resolve(token: GoogleToken): void; reject(error: unknown): void }[] = [];
  return {
    lookups: 0,
    getToken(): Promise<GoogleToken> {
      this.lookups++;
      return new Promise((resolve, reject) => {
        waiting.push({ resolve, reject });
      });
    },
    give(token: string, expiresAt: number | null): void {
      waiting.shift()?.resolve({ headers: { authorization: `Bearer ${token}` }, expiresAt });
    },
    fail(error: unknown): void {
      waiting.shift()?.reject(error);
    },
  };
}

async function withSource() {
  const clock = new ManualClock();
  const from = source();
  const credentials = await googleCredentials({ source: from, clock });
  const ask = () => credentials.authorize(CALL);
  return { clock, from, ask };
}

/** Lets what was promised come true. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

async function rejected(call: Promise<unknown>): Promise<CredentialsError> {
  try {
    await call;
  } catch (error) {
    assert.ok(error instanceof CredentialsError, String(error));
    return error;
  }
  assert.fail('there were credentials');
}

describe("Google's credentials", () => {
  it('are looked up once for all who wait, and kept', async () => {
    const { clock, from, ask } = await withSource();
    const calls = [ask(), ask(), ask()];
    from.give('one', clock.wall() + HOUR);
    for (const headers of await Promise.all(calls))
      assert.deepEqual(headers, ['authorization', 'Bearer one']);
    await settled();
    assert.equal(clock.pending, 0);
    clock.advance(HOUR / 2);
    await ask();
    assert.equal(from.lookups, 1);
  });

  it('are renewed before their end, while calls go out with the old ones', async () => {
    const { clock, from, ask } = await withSource();
    const first = ask();
    from.give('one', clock.wall() + HOUR);
    await first;
    clock.advance(HOUR - 4 * 60_000);
    assert.deepEqual(await ask(), ['authorization', 'Bearer one']);
    assert.deepEqual(await ask(), ['authorization', 'Bearer one']);
    assert.equal(from.lookups, 2);
    from.give('two', clock.wall() + HOUR);
    await settled();
    assert.deepEqual(await ask(), ['authorization', 'Bearer two']);
    assert.equal(from.lookups, 2);
  });

  it('serve on where they cannot be renewed, and are tried again; at their end that is told', async () => {
    const { clock, from, ask } = await withSource();
    const first = ask();
    from.give('one', clock.wall() + HOUR);
    await first;
    clock.advance(HOUR - 3 * 60_000);
    await ask();
    from.fail(Object.assign(new Error('x'), { code: 'ECONNREFUSED' }));
    await settled();
    assert.deepEqual(await ask(), ['authorization', 'Bearer one']);
    assert.equal(from.lookups, 2);
    clock.advance(30_000);
    await ask();
    assert.equal(from.lookups, 3);
    from.fail(new Error('x'));
    await settled();
    clock.advance(2 * 60_000);
    const last = ask();
    from.fail(Object.assign(new Error('x'), { code: 'ECONNREFUSED' }));
    assert.equal((await rejected(last)).refused, false);
  });

  it('of a short life are renewed at half of it', async () => {
    const { clock, from, ask } = await withSource();
    const first = ask();
    from.give('one', clock.wall() + 4 * 60_000);
    await first;
    clock.advance(2 * 60_000 - 1);
    await ask();
    assert.equal(from.lookups, 1);
    clock.advance(1);
    await ask();
    assert.equal(from.lookups, 2);
  });

  it('whose life is not said are asked for again after five minutes', async () => {
    const { clock, from, ask } = await withSource();
    const first = ask();
    from.give('one', null);
    await first;
    clock.advance(5 * 60_000 - 1);
    await ask();
    assert.equal(from.lookups, 1);
    clock.advance(1);
    assert.deepEqual(await ask(), ['authorization', 'Bearer one']);
    assert.equal(from.lookups, 2);
  });

  it('are waited for five seconds, and serve the next call when they come', async () => {
    const { clock, from, ask } = await withSource();
    const first = rejected(ask());
    clock.advance(5000);
    const error = await first;
    assert.deepEqual([error.refused, error.message], [false, 'no token from Google within 5000 ms']);
    const second = ask();
    assert.equal(from.lookups, 1);
    from.give('late', clock.wall() + HOUR);
    assert.deepEqual(await second, ['authorization', 'Bearer late']);
  });

  it('are looked up anew where a lookup never ends', async () => {
    const { clock, from, ask } = await withSource();
    const first = rejected(ask());
    clock.advance(30_000);
    await first;
    const second = ask();
    assert.equal(from.lookups, 2);
    from.fail(new Error('the first one'));
    await settled();
    const third = ask();
    assert.equal(from.lookups, 2);
    from.give('two', clock.wall() + HOUR);
    await third;
    assert.deepEqual(await second, ['authorization', 'Bearer two']);
  });

  it('that fail are looked up again by the next call', async () => {
    const { clock, from, ask } = await withSource();
    const first = rejected(ask());
    from.fail(new Error('x'));
    await first;
    const second = ask();
    from.give('two', clock.wall() + HOUR);
    assert.deepEqual(await second, ['authorization', 'Bearer two']);
  });

  it('without a token are none', async () => {
    const credentials = await googleCredentials({
      source: { getToken: async () => ({ headers: {}, expiresAt: null }) },
    });
    assert.equal((await rejected(credentials.authorize(CALL))).refused, true);
  });
});

describe("why there are no credentials of Google's", () => {
  const SECRET = 'Unexpected token in "private_key": "MIIE';
  const because = async (fields: object) => {
    const { from, ask } = await withSource();
    const call = rejected(ask());
    from.fail(Object.assign(new Error(SECRET), fields));
    const error = await call;
    assert.ok(!error.message.includes('MIIE'), 'no file is quoted');
    return [error.refused, /\((.*)\)$/.exec(error.message)?.[1] ?? ''] as const;
  };

  it('is told as a refusal or as nobody being there, by codes alone', async () => {
    assert.deepEqual(await because({}), [true, '']);
    assert.deepEqual(await because({ code: 'ENOENT' }), [true, 'ENOENT']);
    assert.deepEqual(await because({ status: 400, response: { data: { error: 'invalid_grant' } } }), [
      true,
      '400, invalid_grant',
    ]);
    assert.deepEqual(await because({ status: 403, code: 403 }), [true, '403']);
    assert.deepEqual(await because({ status: 503 }), [false, '503']);
    assert.deepEqual(await because({ status: 429 }), [false, '429']);
    assert.deepEqual(await because({ code: 'ENOTFOUND' }), [false, 'ENOTFOUND']);
    assert.deepEqual(await because({ code: 'ETIMEDOUT' }), [false, 'ETIMEDOUT']);
    assert.deepEqual(await because({ cause: { code: 'UND_ERR_CONNECT_TIMEOUT' } }), [
      false,
      'UND_ERR_CONNECT_TIMEOUT',
    ]);
    assert.deepEqual(await because({ response: { data: { error: SECRET } }, code: SECRET }), [true, '']);
  });
});

describe("the vendor's library", () => {
  /** However busy the machine is, no lookup takes too long by a clock that stands. */
  const standing = () => ({ clock: new ManualClock(0, Date.now()) });

  /** The environment of one test. */
  function environment(t: TestContext, variables: Record<string, string>): void {
    const before = { ...process.env };
    t.after(() => {
      process.env = before;
    });
    delete process.env['GOOGLE_APPLICATION_CREDENTIALS'];
    Object.assign(process.env, { HOME: '/nowhere', APPDATA: '/nowhere', ...variables });
  }

  async function metadataServer(t: TestContext, answer: (url: string, response: ServerResponse) => void) {
    const urls: string[] = [];
    const server = createServer((request, response) => {
      urls.push(request.url ?? '');
      response.setHeader('metadata-flavor', 'Google');
      answer(request.url ?? '', response);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => {
      server.closeAllConnections();
      server.close();
    });
    const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    environment(t, { GCE_METADATA_HOST: host, METADATA_SERVER_DETECTION: 'assume-present' });
    return urls;
  }

  const asks = (credentials: Credentials) => [credentials.authorize(CALL), credentials.authorize(CALL)];

  it('is given a token by the metadata server, once, for all of the cloud', async (t) => {
    const urls = await metadataServer(t, (url, response) => {
      if (!url.includes('/token')) response.end('my-project');
      else {
        response.setHeader('content-type', 'application/json');
        response.end(
          JSON.stringify({ access_token: 'of-the-machine', expires_in: 3600, token_type: 'Bearer' }),
        );
      }
    });
    const credentials = await googleCredentials(standing());
    for (const headers of await Promise.all(asks(credentials))) {
      assert.deepEqual(headers, ['authorization', 'Bearer of-the-machine']);
    }
    await credentials.authorize(CALL);
    const tokens = urls.filter((url) => url.includes('/token'));
    assert.equal(tokens.length, 1);
    assert.match(decodeURIComponent(tokens[0] ?? ''), /auth\/cloud-platform/);
  });

  it('is refused by it', async (t) => {
    await metadataServer(t, (_url, response) => {
      response.statusCode = 404;
      response.end('no account');
    });
    const error = await rejected((await googleCredentials(standing())).authorize(CALL));
    assert.deepEqual([error.refused, error.message.includes('404')], [true, true]);
  });

  it('finds nobody', async (t) => {
    environment(t, { METADATA_SERVER_DETECTION: 'none' });
    const error = await rejected((await googleCredentials(standing())).authorize(CALL));
    assert.equal(error.refused, true);
    assert.match(error.message, /GOOGLE_APPLICATION_CREDENTIALS/);
  });

  it('cannot read the key file', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'google-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'key.json');
    environment(t, { GOOGLE_APPLICATION_CREDENTIALS: file });
    for (const text of [
      '{"type":"service_account","private_key":"very-secret',
      '{"type":"service_account","client_email":"a@b.test","private_key":"very-secret"}',
    ]) {
      writeFileSync(file, text);
      const error = await rejected((await googleCredentials(standing())).authorize(CALL));
      assert.equal(error.refused, true);
      assert.ok(!error.message.includes('very-secret'));
    }
  });
});
