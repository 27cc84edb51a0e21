import { type Clock, systemClock } from '../core/clock.ts';
import { type Credentials, CredentialsError } from './credentials.ts';
import { SharedLookup } from './shared-lookup.ts';

/** What Azure's models are called with. */
const SCOPE = 'https://cognitiveservices.azure.com/.default';

/** So long before its end a token is renewed, while calls still go out with it; of a short-lived one, at half its life. Milliseconds. */
const RENEWED_BEFORE = 5 * 60 * 1000;
/** So long before its end it is not used any more: calls take time, and clocks differ. Milliseconds. */
const LAST_USE = 30 * 1000;
/** Between two tries to renew a token that still serves. Milliseconds. */
const BETWEEN_RENEWALS = 30 * 1000;
/** Of a vendor's message, as much as is told. Characters. */
const MOST_WORDS = 500;

/** Who gives out tokens: the vendor's `TokenCredential`, as far as it is used here. */
export interface EntraSource {
  getToken(scope: string): Promise<EntraToken | null>;
}

export interface EntraToken {
  token: string;
  /** Both in milliseconds since 1970. */
  expiresOnTimestamp: number;
  refreshAfterTimestamp?: number;
}

export interface EntraOptions {
  /** Left out: the vendor's default chain of environment, workload, managed identity and developer's tools. */
  source?: EntraSource;
  clock?: Clock;
}

/** Microsoft Entra's tokens for Azure's models. Brings in the vendor's library. */
export async function entraCredentials({
  source,
  clock = systemClock,
}: EntraOptions = {}): Promise<Credentials> {
  return new EntraCredentials(source ?? (await defaultSource()), clock);
}

async function defaultSource(): Promise<EntraSource> {
  try {
    const { DefaultAzureCredential } = await import('@azure/identity');
    return new DefaultAzureCredential();
  } catch (error) {
    throw new CredentialsError(`Entra credentials cannot be used: ${wordsOf(error)}`, true);
  }
}

class EntraCredentials implements Credentials {
  readonly #source: EntraSource;
  readonly #clock: Clock;
  readonly #lookup: SharedLookup<void>;
  #headers: readonly string[] = [];
  #expiresAt = 0;
  #renewAt = 0;

  constructor(source: EntraSource, clock: Clock) {
    this.#source = source;
    this.#clock = clock;
    this.#lookup = new SharedLookup(() => this.#look(), clock, 'token from Entra');
  }

  async authorize(): Promise<readonly string[]> {
    const now = this.#clock.wall();
    if (now < this.#renewAt) return this.#headers;
    if (now < this.#expiresAt - LAST_USE) {
      // It serves for now. What fails here fails again, and is told, once the token is too old.
      this.#renewAt = now + BETWEEN_RENEWALS;
      this.#lookup.begin().catch(() => {});
    } else await this.#lookup.wait();
    return this.#headers;
  }

  /** Never rejects with anything but a CredentialsError. */
  async #look(): Promise<void> {
    try {
      const token = await this.#source.getToken(SCOPE);
      if (token === null || token.token === '') throw new CredentialsError('Entra gave no token', true);
      const now = this.#clock.wall();
      const early = Math.min(RENEWED_BEFORE, (token.expiresOnTimestamp - now) / 2);
      this.#headers = ['authorization', `Bearer ${token.token}`];
      this.#expiresAt = token.expiresOnTimestamp;
      this.#renewAt = Math.min(token.refreshAfterTimestamp ?? Infinity, token.expiresOnTimestamp - early);
    } catch (error) {
      if (error instanceof CredentialsError) throw error;
      throw new CredentialsError(
        `no token from Entra: ${wordsOf(error)}`,
        isRefusal(error, this.#expiresAt > 0),
      );
    }
  }
}

/** Nobody there who could vouch for us, or somebody who said no; all else may pass. `hadToken`: somebody was there before, and only does not answer now. */
function isRefusal(error: unknown, hadToken: boolean): boolean {
  if (!(error instanceof Error)) return false;
  switch (error.name) {
    case 'AggregateAuthenticationError':
    case 'CredentialUnavailableError':
      return !hadToken;
    case 'AuthenticationRequiredError':
      return true;
    case 'AuthenticationError': {
      const status = 'statusCode' in error ? error.statusCode : 0;
      return status === 400 || status === 401 || status === 403;
    }
  }
  return false;
}

/** On one line. */
function wordsOf(error: unknown): string {
  const words = error instanceof Error ? error.message : String(error);
  return words.replace(/\s+/g, ' ').trim().slice(0, MOST_WORDS);
}
