import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BedrockRuntimeClient, ConverseCommand } from '@aws-sdk/client-bedrock-runtime';
import type { Clock } from '../../src/core/clock.ts';
import { awsCredentials } from '../../src/credentials/aws.ts';
import type { AwsIdentity } from '../../src/credentials/aws-identity.ts';
import { type Credentials, CredentialsError, type UnsignedCall } from '../../src/credentials/credentials.ts';
import { modelPath } from '../../src/providers/bedrock/path.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { Gate } from '../support/upstream.ts';

const SECRET = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';
const FIXED: AwsIdentity = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: SECRET };
const MINUTE = 60_000;

const region = 'us-west-2';
const service = 'bedrock';

const CALL: UnsignedCall = {
  method: 'POST',
  url: new URL('https://bedrock-runtime.us-west-2.amazonaws.com/model/m/converse'),
  headers: { 'content-type': 'application/json' },
  body: [Buffer.from('{}')],
};

/** What the SDK is about to send. */
interface HttpRequest {
  path: string;
  headers: Record<string, string>;
  body: Uint8Array;
}

function headersOf(list: readonly string[]): Record<string, string> {
  const pairs = Array.from({ length: list.length / 2 }, (_, at) => [
    list[at * 2] ?? '',
    list[at * 2 + 1] ?? '',
  ]);
  return Object.fromEntries(pairs);
}

/** Whose key the call was signed with. */
async function keyOf(credentials: Credentials): Promise<string> {
  const { authorization = '' } = headersOf(await credentials.authorize(CALL));
  return /Credential=([^/]+)\//.exec(authorization)?.[1] ?? '';
}

/** Whoever is found is called after the number of the lookup, and expires in an hour. */
class Finder {
  lookups = 0;
  lifetime: number | null = 60 * MINUTE;
  failure: Error | null = null;
  gate: Gate | null = null;
  readonly clock: Clock;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  find = async (): Promise<AwsIdentity> => {
    const accessKeyId = `AK${++this.lookups}`;
    if (this.gate !== null) await this.gate.passed();
    if (this.failure !== null) throw this.failure;
    const { lifetime } = this;
    const expiration = lifetime === null ? {} : { expiration: new Date(this.clock.wall() + lifetime) };
    return { accessKeyId, secretAccessKey: SECRET, ...expiration };
  };
}

describe('AWS credentials', () => {
  describe('sign', () => {
    const endpoint = `https://bedrock-runtime.${region}.amazonaws.com`;

    for (const model of [
      'us.anthropic.claude-opus-5-5-v1:0',
      'arn:aws:bedrock:us-west-2:123456789012:application-inference-profile/a1b2c3',
      "odd (name)*!'/~",
    ]) {
      for (const sessionToken of [null, 'the-session-token']) {
        it(`${model} as the official SDK does${sessionToken === null ? '' : ', for a session'}`, async () => {
          const identity = sessionToken === null ? FIXED : { ...FIXED, sessionToken };
          const seen: HttpRequest[] = [];
          const client = new BedrockRuntimeClient({
            region,
            credentials: identity,
            maxAttempts: 1,
            requestHandler: {
              async handle(request: HttpRequest) {
                seen.push(request);
                throw new Error('it was only to be seen');
              },
            },
          });
          client.middlewareStack.addRelativeTo(
            <Args extends { request: unknown }, Out>(next: (args: Args) => Out) =>
              (args: Args) => {
                // What the SDK adds of its own, and we do not send.
                const { headers } = args.request as { headers: Record<string, string> };
                for (const name of Object.keys(headers)) {
                  if (/^(?:amz-sdk-|x-amz-user-agent|content-length)/.test(name)) delete headers[name];
                }
                return next(args);
              },
            { relation: 'before', toMiddleware: 'httpSigningMiddleware', name: 'onlyWhatWeSend' },
          );
          const sent = client.send(
            new ConverseCommand({
              modelId: model,
              messages: [{ role: 'user', content: [{ text: 'Grüße' }] }],
            }),
          );
          await assert.rejects(sent, /only to be seen/);
          const [official] = seen;
          assert.ok(official);
          const { headers, path, body } = official;
          const date = String(headers['x-amz-date']);
          const wall = Date.parse(
            date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'),
          );
          const ours = await awsCredentials({
            region,
            service,
            clock: new ManualClock(0, wall),
            find: async () => identity,
          });
          assert.equal(path, modelPath(model, 'converse'));
          const bytes = Buffer.concat([body]);
          const signed = headersOf(
            await ours.authorize({
              method: 'POST',
              url: new URL(`${endpoint}${modelPath(model, 'converse')}`),
              headers: {
                'content-type': 'application/json',
                'user-agent': 'us',
                accept: '*/*',
                traceparent: 'x',
              },
              body: [bytes.subarray(0, 5), bytes.subarray(5)],
            }),
          );
          for (const name of [
            'authorization',
            'x-amz-date',
            'x-amz-content-sha256',
            'x-amz-security-token',
          ]) {
            assert.equal(signed[name], headers[name], name);
          }
          assert.equal(signed['authorization']?.includes('/us-west-2/bedrock/aws4_request'), true);
          assert.deepEqual(
            Object.keys(signed).filter((name) => name !== 'authorization' && !name.startsWith('x-amz-')),
            [],
          );
        });
      }
    }
  });

  it("sign AWS's own headers too, and give only what is new", async () => {
    const credentials = await awsCredentials({ region, service, find: async () => FIXED });
    const headers = { ...CALL.headers, 'x-amz-meta': 'a', 'x-request-id': 'b' };
    const signed = headersOf(await credentials.authorize({ ...CALL, headers }));
    assert.deepEqual(Object.keys(signed).sort(), ['authorization', 'x-amz-content-sha256', 'x-amz-date']);
    assert.match(
      signed['authorization'] ?? '',
      /SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-meta,/,
    );
  });

  it('are looked for once, and kept until shortly before they expire', async () => {
    const clock = new ManualClock();
    const finder = new Finder(clock);
    const credentials = await awsCredentials({ region, service, clock, find: finder.find });
    assert.equal(finder.lookups, 0);
    assert.deepEqual(await Promise.all([1, 2, 3].map(() => keyOf(credentials))), ['AK1', 'AK1', 'AK1']);
    clock.advance(54 * MINUTE);
    assert.equal(await keyOf(credentials), 'AK1');
    assert.equal(finder.lookups, 1);
    assert.equal(clock.pending, 0);
  });

  it('are renewed while the old ones still serve', async () => {
    const clock = new ManualClock();
    const finder = new Finder(clock);
    const credentials = await awsCredentials({ region, service, clock, find: finder.find });
    await keyOf(credentials);
    clock.advance(56 * MINUTE);
    finder.gate = new Gate();
    assert.deepEqual(await Promise.all([keyOf(credentials), keyOf(credentials)]), ['AK1', 'AK1']);
    assert.equal(finder.lookups, 2);
    finder.gate.open();
    await clock.advanceAsync(0);
    assert.equal(await keyOf(credentials), 'AK2');
    assert.equal(finder.lookups, 2);
  });

  it('serve on while they cannot be renewed, which is tried again after a pause', async () => {
    const clock = new ManualClock();
    const finder = new Finder(clock);
    const credentials = await awsCredentials({ region, service, clock, find: finder.find });
    await keyOf(credentials);
    clock.advance(56 * MINUTE);
    finder.failure = new Error('connect ECONNREFUSED');
    for (let times = 0; times < 5; times++) {
      assert.equal(await keyOf(credentials), 'AK1');
      await clock.advanceAsync(1000);
    }
    assert.equal(finder.lookups, 2);
    await clock.advanceAsync(10_000);
    assert.equal(await keyOf(credentials), 'AK1');
    assert.equal(finder.lookups, 3);
    await clock.advanceAsync(3 * MINUTE);
    await assert.rejects(keyOf(credentials), CredentialsError);
    finder.failure = null;
    assert.equal(await keyOf(credentials), `AK${finder.lookups}`);
  });

  it('are not used in their last minute', async () => {
    const clock = new ManualClock();
    const finder = new Finder(clock);
    const credentials = await awsCredentials({ region, service, clock, find: finder.find });
    await keyOf(credentials);
    clock.advance(59 * MINUTE);
    assert.equal(await keyOf(credentials), 'AK2');
  });

  it('are kept for good if they do not expire', async () => {
    const clock = new ManualClock();
    const finder = new Finder(clock);
    finder.lifetime = null;
    const credentials = await awsCredentials({ region, service, clock, find: finder.find });
    await keyOf(credentials);
    clock.advance(1000 * 60 * MINUTE);
    assert.equal(await keyOf(credentials), 'AK1');
    assert.equal(finder.lookups, 1);
  });

  it('are not waited for forever, and serve who asks later', async () => {
    const clock = new ManualClock();
    const finder = new Finder(clock);
    finder.gate = new Gate();
    const credentials = await awsCredentials({ region, service, clock, find: finder.find });
    const waiting = assert.rejects(
      keyOf(credentials),
      (error) => error instanceof CredentialsError && !error.refused && /within/.test(error.message),
    );
    await clock.advanceAsync(5000);
    await waiting;
    finder.gate.open();
    assert.equal(await keyOf(credentials), 'AK1');
    assert.equal(finder.lookups, 1);
    assert.equal(clock.pending, 0);
  });

  const failing = async (failure: unknown): Promise<CredentialsError> => {
    const credentials = await awsCredentials({
      region,
      service,
      find: () => Promise.reject(failure),
    });
    try {
      await credentials.authorize(CALL);
    } catch (error) {
      assert.ok(error instanceof CredentialsError);
      return error;
    }
    return assert.fail('it should have failed');
  };
  const named = (name: string, message: string, more: object = {}) =>
    Object.assign(new Error(message), { name, ...more });

  it('say whether they were refused, or nobody could be reached', async () => {
    for (const error of [
      named('CredentialsProviderError', 'Could not load credentials from any providers'),
      named('ExpiredTokenException', 'The token is expired', { $metadata: { httpStatusCode: 400 } }),
      named('AccessDenied', 'Not authorized to perform sts:AssumeRole', {
        $metadata: { httpStatusCode: 403 },
      }),
    ]) {
      const { refused, message } = await failing(error);
      assert.equal(refused, true, message);
    }
    for (const error of [
      named('TimeoutError', 'socket'),
      named('Error', 'connect', { code: 'ECONNREFUSED' }),
      named('Error', 'getaddrinfo EAI_AGAIN sts.amazonaws.com'),
      named('ServiceUnavailable', 'Later', { $metadata: { httpStatusCode: 503 } }),
      named('Throttling', 'Rate exceeded', { $metadata: { httpStatusCode: 429 } }),
      named('ThrottlingException', 'Rate exceeded'),
    ]) {
      const { refused, message } = await failing(error);
      assert.equal(refused, false, message);
    }
    assert.equal((await failing('a text')).refused, true);
  });

  it('tell no secret when they fail', async () => {
    const { message } = await failing(
      named('CredentialsProviderError', 'Command failed: get-credentials --password hunter2'),
    );
    assert.doesNotMatch(message, /hunter2/);
    assert.doesNotMatch((await failing(named('Error', `bad key ${SECRET}`))).message, new RegExp(SECRET));
    assert.match(
      (await failing(named('CredentialsProviderError', 'The SSO session has expired.\nRun aws sso login')))
        .message,
      /The SSO session has expired\. Run aws sso login/,
    );
  });

  it('need a region', async () => {
    await assert.rejects(awsCredentials({ region: '', service }), /region/);
  });

  describe("are Bedrock's own key where the environment has one", () => {
    const token = 'ABSKQmVkcm9ja0FQSUtleS1leGFtcGxl';
    const given = (value: string | undefined, find = async (): Promise<AwsIdentity> => FIXED) =>
      awsCredentials({ region, service, find, environment: { AWS_BEARER_TOKEN_BEDROCK: value } });

    it('before all others, and nothing is signed', async () => {
      const credentials = await given(token, () => assert.fail('nobody is to be looked for'));
      assert.deepEqual(await credentials.authorize(CALL), ['authorization', `Bearer ${token}`]);
      assert.deepEqual(await (await given(` ${token}\n`)).authorize(CALL), [
        'authorization',
        `Bearer ${token}`,
      ]);
    });

    it('as it was when they were opened', async () => {
      const environment: Record<string, string> = { AWS_BEARER_TOKEN_BEDROCK: token };
      const credentials = await awsCredentials({ region, service, environment });
      environment['AWS_BEARER_TOKEN_BEDROCK'] = 'another';
      assert.deepEqual(await credentials.authorize(CALL), ['authorization', `Bearer ${token}`]);
    });

    it('and are signatures where it is empty', async () => {
      for (const value of [undefined, '', '  ']) {
        assert.equal(await keyOf(await given(value)), FIXED.accessKeyId, String(value));
      }
    });

    it('or an error that does not quote it, where it cannot be one', async () => {
      for (const value of ['two words', 'a\r\nb: c', 'schlüssel']) {
        await assert.rejects(given(value), (error) => {
          assert.ok(error instanceof CredentialsError && error.refused);
          assert.match(error.message, /AWS_BEARER_TOKEN_BEDROCK/);
          assert.ok(!error.message.includes(value));
          return true;
        });
      }
    });
  });

  it("come from AWS's default chain if nobody else is named", async () => {
    const names = [
      'AWS_ACCESS_KEY_ID',
      'AWS_SECRET_ACCESS_KEY',
      'AWS_SESSION_TOKEN',
      'AWS_PROFILE',
      'AWS_BEARER_TOKEN_BEDROCK',
    ] as const;
    const before = names.map((name) => [name, process.env[name]] as const);
    try {
      delete process.env['AWS_PROFILE'];
      delete process.env['AWS_BEARER_TOKEN_BEDROCK'];
      process.env['AWS_ACCESS_KEY_ID'] = 'AKFROMENV';
      process.env['AWS_SECRET_ACCESS_KEY'] = SECRET;
      process.env['AWS_SESSION_TOKEN'] = 'session';
      const credentials = await awsCredentials({ region, service, clock: new ManualClock(0, Date.now()) });
      const headers = headersOf(await credentials.authorize(CALL));
      assert.match(
        headers['authorization'] ?? '',
        /^AWS4-HMAC-SHA256 Credential=AKFROMENV\/\d{8}\/us-west-2\/bedrock\//,
      );
      assert.equal(headers['x-amz-security-token'], 'session');
    } finally {
      for (const [name, value] of before) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
    }
  });
});
