import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import {
  AggregateAuthenticationError,
  AuthenticationError,
  CredentialUnavailableError,
} from '@azure/identity';
import { type Credentials, CredentialsError, type UnsignedCall } from '../../src/credentials/credentials.ts';
import { type EntraToken, entraCredentials } from '../../src/credentials/entra.ts';
import { ManualClock } from '../support/manual-clock.ts';

const CALL: UnsignedCall = {
  method: 'POST',
  url: new URL('https://res.openai.azure.com/'),
  headers: {},
  body: [],
};
const HOUR = 60 * 60 * 1000;
const MINUTE = 60 * 1000;

/** Gives out what it is told to, when it is told to, and notes what it was asked for. */
class Source {
  readonly asked: string[] = [];
  readonly #waiting: { resolve: (token: EntraToken | null) => void; reject: (error: unknown) => void }[] = [];

  getToken(scope: string): Promise<EntraToken | null> {
    this.asked.push(scope);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  gives(token: EntraToken | null): void {
    this.#waiting.shift()?.resolve(token);
  }

  fails(error: unknown): void {
    this.#waiting.shift()?.reject(error);
  }
}

async function open() {
  const source = new Source();
  const clock = new ManualClock();
  const credentials = await entraCredentials({ source, clock });
  const token = (text: string, lives = HOUR): EntraToken => ({
    token: text,
    expiresOnTimestamp: clock.wall() + lives,
  });
  return { source, clock, credentials, token };
}

const bearer = (text: string) => ['authorization', `Bearer ${text}`];

/** A call that must be answered from what is known. */
async function at(credentials: Credentials): Promise<readonly string[]> {
  return credentials.authorize(CALL);
}

describe('A token of Entra', () => {
  it('is asked for once, for all who want it, and kept', async () => {
    const { source, credentials, token } = await open();
    const calls = [at(credentials), at(credentials), at(credentials)];
    source.gives(token('one'));
    for (const headers of await Promise.all(calls)) assert.deepEqual(headers, bearer('one'));
    assert.deepEqual(await at(credentials), bearer('one'));
    assert.deepEqual(source.asked, ['https://cognitiveservices.azure.com/.default']);
  });

  it('is renewed five minutes before its end, while calls go on with it', async () => {
    const { source, clock, credentials, token } = await open();
    const first = at(credentials);
    source.gives(token('one'));
    await first;
    await clock.advanceAsync(HOUR - 5 * MINUTE - 1);
    await at(credentials);
    assert.equal(source.asked.length, 1);
    await clock.advanceAsync(1);
    assert.deepEqual(await Promise.all([at(credentials), at(credentials)]), [bearer('one'), bearer('one')]);
    assert.equal(source.asked.length, 2);
    source.gives(token('two'));
    await clock.advanceAsync(0);
    assert.deepEqual(await at(credentials), bearer('two'));
    assert.equal(source.asked.length, 2);
  });

  it('is renewed when the vendor says, if that is sooner, or at half of a short life', async () => {
    for (const [given, renewedAfter] of [
      [{ lives: HOUR, refresh: 10 * MINUTE }, 10 * MINUTE],
      [{ lives: HOUR, refresh: 59 * MINUTE }, 55 * MINUTE],
      [{ lives: 4 * MINUTE }, 2 * MINUTE],
    ] as const) {
      const { source, clock, credentials, token } = await open();
      const first = at(credentials);
      const refresh = 'refresh' in given ? { refreshAfterTimestamp: clock.wall() + given.refresh } : {};
      source.gives({ ...token('one', given.lives), ...refresh });
      await first;
      await clock.advanceAsync(renewedAfter - 1);
      await at(credentials);
      assert.equal(source.asked.length, 1);
      await clock.advanceAsync(1);
      await at(credentials);
      assert.equal(source.asked.length, 2);
    }
  });

  it('serves on where it cannot be renewed, and is asked for again half a minute later', async () => {
    const { source, clock, credentials, token } = await open();
    const first = at(credentials);
    source.gives(token('one'));
    await first;
    await clock.advanceAsync(HOUR - 5 * MINUTE);
    assert.deepEqual(await at(credentials), bearer('one'));
    source.fails(new Error('no network'));
    await clock.advanceAsync(30_000 - 1);
    assert.deepEqual(await at(credentials), bearer('one'));
    assert.equal(source.asked.length, 2);
    await clock.advanceAsync(1);
    assert.deepEqual(await at(credentials), bearer('one'));
    assert.equal(source.asked.length, 3);
  });

  it('is not used in its last half minute', async () => {
    const { source, clock, credentials, token } = await open();
    const first = at(credentials);
    source.gives(token('one'));
    await first;
    await clock.advanceAsync(HOUR - 30_000);
    const second = at(credentials);
    source.gives(token('two'));
    assert.deepEqual(await second, bearer('two'));
  });

  it('is waited for five seconds at most, and serves the next call if it comes later', async () => {
    const { source, clock, credentials, token } = await open();
    const late = assert.rejects(at(credentials), failure(/5000 ms/, false));
    await clock.advanceAsync(5000);
    await late;
    source.gives(token('one'));
    await clock.advanceAsync(0);
    assert.deepEqual(await at(credentials), bearer('one'));
    assert.equal(source.asked.length, 1);
    assert.equal(clock.pending, 0);
  });
});

function failure(message: RegExp, refused: boolean) {
  return (error: unknown) => {
    assert.ok(error instanceof CredentialsError);
    assert.match(error.message, message);
    assert.ok(!error.message.includes('\n'));
    assert.ok(error.message.length < 600);
    assert.equal(error.refused, refused);
    return true;
  };
}

describe('No token of Entra', () => {
  const unavailable = new CredentialUnavailableError('EnvironmentCredential is unavailable.\nSee elsewhere.');
  const denied = (status: number) =>
    new AuthenticationError(status, { error: 'invalid_client', error_description: 'wrong secret' });
  const cases: [string, unknown, RegExp, boolean][] = [
    [
      'where nobody vouches for us',
      new AggregateAuthenticationError([unavailable], 'all failed'),
      /all failed/,
      true,
    ],
    ['where none is there', unavailable, /unavailable. See elsewhere/, true],
    ['where the secret is wrong', denied(401), /invalid_client/, true],
    ['where the tenant is unknown', denied(400), /invalid_client/, true],
    ['where Entra is busy', denied(503), /./, false],
    ['where Entra cannot be reached', new Error('getaddrinfo ENOTFOUND'), /ENOTFOUND/, false],
    ['where what is thrown is no error', 'boom', /boom/, false],
    ['where the reasons are many', new Error('x'.repeat(10_000)), /x/, false],
  ];
  for (const [name, error, message, refused] of cases) {
    it(`is told as ${refused ? 'a refusal' : 'a failure that may pass'} ${name}`, async () => {
      const { source, clock, credentials, token } = await open();
      const calls = [at(credentials), at(credentials)].map((call) =>
        assert.rejects(call, failure(message, refused)),
      );
      source.fails(error);
      await Promise.all(calls);
      const again = at(credentials);
      source.gives(token('one'));
      assert.deepEqual(await again, bearer('one'));
      assert.equal(source.asked.length, 2);
      assert.equal(clock.pending, 0);
    });
  }

  it('is a refusal where Entra gives nothing', async () => {
    for (const nothing of [null, { token: '', expiresOnTimestamp: 1 }]) {
      const { source, credentials } = await open();
      const call = assert.rejects(at(credentials), failure(/gave no token/, true));
      source.gives(nothing);
      await call;
    }
  });

  it('leaves nothing behind where the source throws at once', async () => {
    let tries = 0;
    const source = {
      getToken: () => {
        tries++;
        throw new Error('at once');
      },
    };
    const credentials = await entraCredentials({ source, clock: new ManualClock() });
    for (let round = 1; round <= 2; round++) {
      await assert.rejects(at(credentials), failure(/at once/, false));
      assert.equal(tries, round);
    }
  });
});

describe("The vendor's own chain of credentials", () => {
  const NAMES = ['AZURE_TOKEN_CREDENTIALS', 'IDENTITY_ENDPOINT', 'IDENTITY_HEADER'];

  function environment(t: TestContext, values: Record<string, string>): void {
    const before = NAMES.map((name) => [name, process.env[name]] as const);
    Object.assign(process.env, values);
    t.after(() => {
      for (const [name, value] of before) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
    });
  }

  it('gets a token from the managed identity of the machine', async (t) => {
    const asked: string[] = [];
    const server = createServer((request, response) => {
      asked.push(
        `${request.headers['x-identity-header']} ${new URL(request.url ?? '', 'http://x').searchParams.get('resource')}`,
      );
      response.setHeader('content-type', 'application/json');
      const expires_on = String(Math.floor(Date.now() / 1000) + 3600);
      response.end(
        JSON.stringify({ access_token: 'from the machine', expires_on, resource: 'x', token_type: 'Bearer' }),
      );
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}/msi/token`;
    environment(t, {
      AZURE_TOKEN_CREDENTIALS: 'ManagedIdentityCredential',
      IDENTITY_ENDPOINT: endpoint,
      IDENTITY_HEADER: 'header',
    });
    const credentials = await entraCredentials({ clock: new ManualClock(0, Date.now()) });
    assert.deepEqual(await at(credentials), bearer('from the machine'));
    assert.deepEqual(await at(credentials), bearer('from the machine'));
    assert.deepEqual(asked, ['header https://cognitiveservices.azure.com']);
  });

  it('says that there is nobody where there is nobody', async (t) => {
    environment(t, { AZURE_TOKEN_CREDENTIALS: 'EnvironmentCredential' });
    const credentials = await entraCredentials({ clock: new ManualClock(0, Date.now()) });
    await assert.rejects(at(credentials), failure(/EnvironmentCredential is unavailable/, true));
  });

  it('is not begun with settings that make no sense', async (t) => {
    environment(t, { AZURE_TOKEN_CREDENTIALS: 'Nonsense' });
    await assert.rejects(entraCredentials(), failure(/AZURE_TOKEN_CREDENTIALS/, true));
  });
});
