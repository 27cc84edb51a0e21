import type { Clock } from '../core/clock.ts';
import { CredentialsError } from './credentials.ts';

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
/** How long a call waits for a lookup. Milliseconds. */
const LONGEST_LOOKUP = 5000;
/** After a renewal that failed, while the old identity serves. Milliseconds. */
const PAUSE_AFTER_FAILURE = 10 * 1000;

/** Keeps an identity until shortly before it expires. Whoever asks in the meantime shares one lookup. */
export class AwsIdentityCache {
  readonly #find: FindAwsIdentity;
  readonly #clock: Clock;
  #current: AwsIdentity | null = null;
  #lookup: Promise<AwsIdentity> | null = null;
  /** By `now()`: no renewal before that. */
  #notBefore = 0;

  constructor(find: FindAwsIdentity, clock: Clock) {
    this.#find = find;
    this.#clock = clock;
  }

  /** Rejects with `CredentialsError`. */
  async get(): Promise<AwsIdentity> {
    const current = this.#current;
    const left = current === null ? 0 : this.#left(current);
    if (current !== null && left > RENEW_BEFORE) return current;
    if (current !== null && left > LEAST_LEFT) {
      if (this.#clock.now() >= this.#notBefore) this.#look().catch(() => {});
      return current;
    }
    return this.#within(this.#look());
  }

  #left({ expiration }: AwsIdentity): number {
    return expiration === undefined ? Number.POSITIVE_INFINITY : expiration.getTime() - this.#clock.wall();
  }

  #look(): Promise<AwsIdentity> {
    this.#lookup ??= this.#found().finally(() => {
      this.#lookup = null;
    });
    return this.#lookup;
  }

  async #found(): Promise<AwsIdentity> {
    try {
      const found = await this.#find();
      this.#current = found;
      return found;
    } catch (error) {
      this.#notBefore = this.#clock.now() + PAUSE_AFTER_FAILURE;
      throw explained(error);
    }
  }

  /** The lookup goes on for others, and for the next call. */
  async #within(lookup: Promise<AwsIdentity>): Promise<AwsIdentity> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = this.#clock.schedule(LONGEST_LOOKUP, () =>
      reject(new CredentialsError('AWS credentials could not be found in time', false)),
    );
    try {
      return await Promise.race([lookup, late]);
    } finally {
      timer.cancel();
    }
  }
}

/** What is said of an error where somebody cannot be reached, or cannot answer now. */
const UNREACHABLE =
  /timeout|timed out|ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EPIPE|EHOSTUNREACH|ENETUNREACH|socket hang up|throttl|too ?many ?requests|slow ?down|internal ?(?:failure|error|server)|service ?unavailable/i;

/** AWS's own words are only quoted where they are known to hold no secret: a program that is run for them may have one on its command line. */
function explained(error: unknown): CredentialsError {
  const { name, message, status } = described(error);
  const isAway = status === null ? UNREACHABLE.test(`${name} ${message}`) : status >= 500 || status === 429;
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
