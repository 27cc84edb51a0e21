import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { awsCredentials } from '../../src/credentials/aws.ts';
import { type Credentials, CredentialsError } from '../../src/credentials/credentials.ts';
import { entraCredentials } from '../../src/credentials/entra.ts';
import { googleCredentials } from '../../src/credentials/google.ts';
import { answering } from '../../src/credentials/shared-lookup.ts';
import { ManualClock } from '../support/manual-clock.ts';

const MINUTE = 60_000;

/** Somebody who gives out credentials for an hour: the first answer is asked for by the first question, and so on. */
class Giver {
  readonly clock: ManualClock;
  questions = 0;
  /** How it answers from now on; null: never. */
  answer: (() => void) | null = () => {};

  constructor(clock: ManualClock) {
    this.clock = clock;
  }

  async #asked(): Promise<number> {
    this.questions++;
    if (this.answer === null) return new Promise(() => {});
    this.answer();
    return this.clock.wall() + 60 * MINUTE;
  }

  async open(vendor: string): Promise<Credentials> {
    const { clock } = this;
    switch (vendor) {
      case 'AWS': {
        const find = async () => ({
          accessKeyId: 'AK',
          secretAccessKey: 'secret',
          expiration: new Date(await this.#asked()),
        });
        return awsCredentials({ region: 'us-east-1', service: 'bedrock', environment: {}, clock, find });
      }
      case 'Google': {
        const getToken = async () => {
          const expiresAt = await this.#asked();
          return { headers: { authorization: 'Bearer token' }, expiresAt };
        };
        return googleCredentials({ source: { getToken }, clock });
      }
      default: {
        const getToken = async () => ({ token: 'token', expiresOnTimestamp: await this.#asked() });
        return entraCredentials({ source: { getToken }, clock });
      }
    }
  }
}

function authorize(credentials: Credentials) {
  return credentials.authorize({
    method: 'POST',
    url: new URL('https://provider.example/path'),
    headers: {},
    body: [],
  });
}

/** What each vendor's library says where it finds nobody. */
const NOBODY: Record<string, Error> = {
  AWS: Object.assign(new Error('Could not load credentials from any providers'), {
    name: 'CredentialsProviderError',
  }),
  Entra: Object.assign(new Error('ChainedTokenCredential authentication failed.'), {
    name: 'AggregateAuthenticationError',
  }),
};

describe('whoever gives out credentials', () => {
  for (const vendor of ['AWS', 'Google', 'Entra']) {
    it(`is asked anew after half a minute where he never answers (${vendor})`, async () => {
      const clock = new ManualClock();
      const giver = new Giver(clock);
      const credentials = await giver.open(vendor);
      giver.answer = null;
      for (let times = 0; times < 6; times++) {
        const late = assert.rejects(
          authorize(credentials),
          (error) => error instanceof CredentialsError && !error.refused,
        );
        await clock.advanceAsync(5000);
        await late;
      }
      assert.equal(giver.questions, 1);
      giver.answer = () => {};
      await authorize(credentials);
      assert.equal(giver.questions, 2);
      assert.equal(clock.pending, 0);
    });
  }

  for (const [vendor, error] of Object.entries(NOBODY)) {
    it(`has refused nothing where he gave some before, and only is not there now (${vendor})`, async () => {
      const clock = new ManualClock();
      const giver = new Giver(clock);
      const credentials = await giver.open(vendor);
      giver.answer = () => {
        throw error;
      };
      const failure = () =>
        authorize(credentials).then(
          () => assert.fail('nobody is there'),
          (failed: CredentialsError) => failed.refused,
        );
      assert.equal(await failure(), true);
      giver.answer = () => {};
      await authorize(credentials);
      clock.advance(60 * MINUTE);
      giver.answer = () => {
        throw error;
      };
      assert.equal(await failure(), false);
    });
  }

  it('is replaced where he never answered, and stays where he did', async () => {
    let made = 0;
    const ask = answering(
      () => ++made,
      (source) => (source === 1 ? new Promise<number>(() => {}) : Promise.resolve(source)),
    );
    void ask();
    assert.equal(await ask(), 2);
    assert.equal(await ask(), 2);
  });

  it('is replaced while he is silent, though one before him gives up at last', async () => {
    const giveUp: (() => void)[] = [];
    const ask = answering(
      () => giveUp.length + 1,
      (source) => {
        if (source > 2) return Promise.resolve(source);
        return new Promise<number>((_, reject) => giveUp.push(() => reject(new Error('silence'))));
      },
    );
    const first = ask();
    void ask();
    giveUp[0]?.();
    await assert.rejects(first, /silence/);
    assert.equal(await ask(), 3);
  });
});
