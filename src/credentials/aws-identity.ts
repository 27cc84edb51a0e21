import type { Clock } from '../core/clock.ts';
import { CredentialsError } from './credentials.ts';
import { SharedLookup } from './shared-lookup.ts';

/** Who AWS is called as, as AWS's libraries describe it. */
export interface AwsIdentity {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  /** Left out: for as long as nobody takes it back. */
  readonly expiration?: Date;
}

export type FindAwsIdentity = () => Promise<AwsIdentity>;

/** From here on a new one is looked for; the old one serves in the meantime. Before that AWS's own chain gives out the same again. Milliseconds. */
const RENEW_BEFORE = 5 * 60 * 1000;
/** What ends sooner is not used: the call has to arrive, and clocks differ. Milliseconds. */
const LEAST_LEFT = 60 * 1000;
/** After a renewal that failed, while the old identity serves. Milliseconds. */
const PAUSE_AFTER_FAILURE = 10 * 1000;

/** Keeps an identity until shortly before it expires. Whoever asks in the meantime shares one lookup. */
export class AwsIdentityCache {
  readonly #find: FindAwsIdentity;
  readonly #clock: Clock;
  readonly #lookup: SharedLookup<AwsIdentity>;
  #current: AwsIdentity | null = null;
  /** By `now()`: no renewal before that. */
  #notBefore = 0;

  constructor(find: FindAwsIdentity, clock: Clock) {
    this.#find = find;
    this.#clock = clock;
    this.#lookup = new SharedLookup(() => this.#found(), clock, 'AWS credentials');
  }

  /** Rejects with `CredentialsError`. */
  async get(): Promise<AwsIdentity> {
    const current = this.#current;
    const left = current === null ? 0 : this.#left(current);
    if (current !== null && left > RENEW_BEFORE) return current;
    if (current !== null && left > LEAST_LEFT) {
      if (this.#clock.now() >= this.#notBefore) this.#lookup.begin().catch(() => {});
      return current;
    }
    return this.#lookup.wait();
  }

  #left({ expiration }: AwsIdentity): number {
    return expiration === undefined ? Number.POSITIVE_INFINITY : expiration.getTime() - this.#clock.wall();
  }

  async #found(): Promise<AwsIdentity> {
    try {
      const found = await this.#find();
      this.#current = found;
      return found;
    } catch (error) {
      this.#notBefore = this.#clock.now() + PAUSE_AFTER_FAILURE;
      throw explained(error, this.#current !== null);
    }
  }
}

/** What is said of an error where somebody cannot be reached, or cannot answer now. */
const UNREACHABLE =
  /timeout|timed out|ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EPIPE|EHOSTUNREACH|ENETUNREACH|socket hang up|throttl|too ?many ?requests|slow ?down|internal ?(?:failure|error|server)|service ?unavailable/i;

/** What the chain says in the end, whatever stood in each one's way. Where somebody was there before, he only does not answer now. */
const NOBODY = /^Could not load credentials from /;

/** AWS's own words are only quoted where they are known to hold no secret: a program that is run for them may have one on its command line. */
function explained(error: unknown, hadIdentity: boolean): CredentialsError {
  const { name, message, status } = described(error);
  const isAway =
    status === null
      ? UNREACHABLE.test(`${name} ${message}`) || (hadIdentity && NOBODY.test(message))
      : status >= 500 || status === 429;
  const isQuotable =
    /^(?:CredentialsProviderError|TokenProviderError)$/.test(name) && !/command/i.test(message);
  const why = isQuotable ? message.replace(/\s+/g, ' ').slice(0, 200) : name;
  return new CredentialsError(
    isAway ? `AWS credentials cannot be reached: ${why}` : `there are no good AWS credentials: ${why}`,
    !isAway,
  );
}

function described(error: unknown): { name: string; message: string; status: number | null } {
  if (!(error instanceof Error)) return { name: 'an error', message: '', status: null };
  const { code, $metadata: metadata } = error as { code?: unknown; $metadata?: { httpStatusCode?: unknown } };
  const status = metadata?.httpStatusCode;
  return {
    name: error.name,
    message: `${error.message}${typeof code === 'string' ? ` ${code}` : ''}`,
    status: typeof status === 'number' ? status : null,
  };
}
