import { type Clock, systemClock } from '../core/clock.ts';
import { type Credentials, CredentialsError } from './credentials.ts';
import { answering, SharedLookup } from './shared-lookup.ts';

/** All of Google's cloud: Vertex AI has no narrower one. */
const SCOPE = 'https://www.googleapis.com/auth/cloud-platform';

/** So long before its end a token is renewed, while calls still go out with it. The vendor's library gives a new one from 5 minutes before. Milliseconds. */
const RENEWED_BEFORE = 4 * 60 * 1000;
/** So long before its end it is not used any more: calls take time, and clocks differ. Milliseconds. */
const LAST_USE = 30 * 1000;
/** Between two tries to renew a token that still serves. Milliseconds. */
const BETWEEN_RENEWALS = 30 * 1000;
/** Where nobody says how long a token serves, the library is asked again after this. Milliseconds. */
const UNSAID_LIFE = 5 * 60 * 1000;
/** Who gives out tokens: the vendor's library, as far as it is used here. */
export interface GoogleSource {
  getToken(): Promise<GoogleToken>;
}

export interface GoogleToken {
  /** Names in lower case: the token and, for a user's own credentials, the project that is billed. */
  headers: Readonly<Record<string, string>>;
  /** Milliseconds since 1970; null = not said. */
  expiresAt: number | null;
}

export interface GoogleOptions {
  /** Left out: Google's default credentials, by the vendor's library: a key file, workload identity, the metadata server, a developer's login. */
  source?: GoogleSource;
  clock?: Clock;
}

/** Google's tokens for Vertex AI. Brings in the vendor's library. */
export async function googleCredentials({
  source,
  clock = systemClock,
}: GoogleOptions = {}): Promise<Credentials> {
  return new GoogleCredentials(source ?? (await defaultSource()), clock);
}

async function defaultSource(): Promise<GoogleSource> {
  let library: typeof import('google-auth-library');
  try {
    library = await import('google-auth-library');
  } catch {
    throw new CredentialsError("Google's credentials need the package google-auth-library", true);
  }
  const { GoogleAuth } = library;
  return {
    getToken: answering(
      () => new GoogleAuth({ scopes: [SCOPE] }),
      async (auth) => {
        const client = await auth.getClient();
        const headers = await client.getRequestHeaders();
        return { headers: Object.fromEntries(headers), expiresAt: client.credentials.expiry_date ?? null };
      },
    ),
  };
}

class GoogleCredentials implements Credentials {
  readonly #source: GoogleSource;
  readonly #clock: Clock;
  readonly #lookup: SharedLookup<void>;
  #headers: readonly string[] = [];
  #expiresAt = 0;
  #renewAt = 0;

  constructor(source: GoogleSource, clock: Clock) {
    this.#source = source;
    this.#clock = clock;
    this.#lookup = new SharedLookup(() => this.#look(), clock, 'token from Google');
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
    let token: GoogleToken;
    try {
      token = await this.#source.getToken();
    } catch (error) {
      throw asCredentialsError(error);
    }
    if (!token.headers['authorization']) {
      throw new CredentialsError("Google's credentials gave no token", true);
    }
    const now = this.#clock.wall();
    this.#expiresAt = token.expiresAt ?? now + 2 * UNSAID_LIFE;
    const early = Math.min(RENEWED_BEFORE, (this.#expiresAt - now) / 2);
    this.#renewAt = token.expiresAt === null ? now + UNSAID_LIFE : this.#expiresAt - early;
    this.#headers = Object.entries(token.headers).flat();
  }
}

/** The library's errors quote files and answers, in which there may be a secret: only codes are told. */
function asCredentialsError(error: unknown): CredentialsError {
  if (error instanceof CredentialsError) return error;
  if (error instanceof Error && error.message.startsWith('Could not load the default credentials')) {
    return new CredentialsError(
      'there are no default credentials of Google: set GOOGLE_APPLICATION_CREDENTIALS, log in with gcloud, or give an api_key',
      true,
    );
  }
  const codes = codesOf(error);
  const status = codes.find((code) => typeof code === 'number');
  const isAway =
    status === undefined
      ? codes.some((code) => typeof code === 'string' && AWAY.test(code))
      : status >= 500 || status === 408 || status === 429;
  const said = codes.length === 0 ? '' : ` (${codes.join(', ')})`;
  return isAway
    ? new CredentialsError(`no token from Google: it cannot be reached${said}`, false)
    : new CredentialsError(`no token from Google: the credentials are not good${said}`, true);
}

/** Node's and undici's words for a network that failed. */
const AWAY =
  /^(?:E(?:CONN|HOST|NET|AI_|PIPE|TIMEDOUT|PROTO)|UND_ERR_|ERR_(?:SOCKET|TLS|SSL|NETWORK)|ABORT_ERR|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO)|^ENOTFOUND$/;

/** An HTTP status, Node's code, OAuth's word: of the error and what caused it. */
function codesOf(error: unknown): (string | number)[] {
  const codes: (string | number)[] = [];
  let at = error;
  for (let depth = 0; depth < 5 && typeof at === 'object' && at !== null; depth++) {
    const { code, status, response, cause } = at as Record<string, unknown>;
    for (const found of [status, code, wordOf(response)]) {
      const isCode =
        (typeof found === 'number' && found >= 100 && found < 600) ||
        (typeof found === 'string' && /^[A-Za-z][A-Za-z_0-9]{1,60}$/.test(found));
      if (isCode && !codes.includes(found)) codes.push(found);
    }
    at = cause;
  }
  return codes;
}

/** `{"error": "invalid_grant"}` */
function wordOf(response: unknown): unknown {
  const data = typeof response === 'object' && response !== null && 'data' in response ? response.data : null;
  return typeof data === 'object' && data !== null && 'error' in data ? data.error : null;
}
