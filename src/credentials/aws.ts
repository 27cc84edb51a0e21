import { createHash } from 'node:crypto';
import { type Clock, systemClock } from '../core/clock.ts';
import { updateInSteps } from '../core/hash-in-steps.ts';
import { type AwsIdentity, AwsIdentityCache, type FindAwsIdentity } from './aws-identity.ts';
import { type Credentials, CredentialsError, type UnsignedCall } from './credentials.ts';
import { Sha256 } from './sha256.ts';
import { answering } from './shared-lookup.ts';

export interface AwsCredentialsOptions {
  /** Where the service is that is called: signed for there, and of no use elsewhere. */
  region: string;
  service: 'bedrock';
  clock?: Clock;
  /** Left out: the process's. */
  environment?: Readonly<Record<string, string | undefined>>;
  /** Left out: AWS's default chain: environment, shared files, SSO, web identity, container, instance. */
  find?: FindAwsIdentity;
}

/** The part of the vendor's signer that is used. */
interface Signer {
  sign(
    request: HttpRequest,
    options: { signingDate: Date },
  ): Promise<{ headers: Readonly<Record<string, string>> }>;
}

interface HttpRequest {
  method: string;
  protocol: string;
  hostname: string;
  port?: number;
  path: string;
  query: Record<string, string | string[]>;
  headers: Record<string, string>;
}

/** Only these are signed, and what is sent must not differ from them on the way. */
const SIGNED = new Set(['content-type']);

/** A key of Bedrock's, which takes the place of a signature; AWS's own SDKs look for it first as well. */
const BEARER_TOKEN = 'AWS_BEARER_TOKEN_BEDROCK';

/**
 * Calls bear the key of Bedrock's that the environment has; else they are signed by Signature Version 4, as whoever AWS's default chain finds. Rejects for
 * what the operator must mend.
 */
export async function awsCredentials(options: AwsCredentialsOptions): Promise<Credentials> {
  const { region, service, clock = systemClock, environment = process.env } = options;
  const token = environment[BEARER_TOKEN]?.trim() ?? '';
  if (token !== '') return bearer(token);
  if (region === '')
    throw new CredentialsError('calls to AWS are signed for a region, and none is set', true);
  const { SignatureV4 } = await library();
  const find = options.find ?? (await defaultChain(region));
  const identities = new AwsIdentityCache(find, clock);
  return {
    async authorize(call) {
      const identity = await identities.get();
      const signer: Signer = new SignatureV4({
        credentials: identity,
        region,
        service,
        sha256: Sha256,
      });
      return signed(call, signer, new Date(clock.wall()));
    },
  };
}

function bearer(token: string): Credentials {
  // Anything else cannot stand in a header, whose error would quote it.
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw new CredentialsError(`${BEARER_TOKEN} holds characters that no key has`, true);
  }
  return {
    async authorize() {
      return ['authorization', `Bearer ${token}`];
    },
  };
}

async function signed(call: UnsignedCall, signer: Signer, signingDate: Date): Promise<string[]> {
  const request = requestOf(call, await hashOf(call.body));
  const { headers } = await signer.sign(request, { signingDate });
  return Object.entries(headers).flatMap(([name, value]) => {
    const lower = name.toLowerCase();
    const isNew = !Object.hasOwn(call.headers, lower);
    return isNew && (lower === 'authorization' || lower.startsWith('x-amz-')) ? [lower, value] : [];
  });
}

function requestOf({ method, url, headers }: UnsignedCall, bodyHash: string): HttpRequest {
  const kept = Object.entries(headers).filter(([name]) => SIGNED.has(name) || name.startsWith('x-amz-'));
  return {
    method,
    protocol: url.protocol,
    hostname: url.hostname,
    ...(url.port === '' ? {} : { port: Number(url.port) }),
    // Encoded once already; the signer encodes it again, as AWS does before it compares.
    path: url.pathname,
    query: Object.fromEntries(
      [...url.searchParams.keys()].map((name) => [name, url.searchParams.getAll(name)]),
    ),
    headers: { ...Object.fromEntries(kept), host: url.host, 'x-amz-content-sha256': bodyHash },
  };
}

/** Piece by piece: a large body is not copied to be hashed. */
async function hashOf(body: readonly Buffer[]): Promise<string> {
  const hash = createHash('sha256');
  for (const piece of body) await updateInSteps(hash, piece);
  return hash.digest('hex');
}

async function library(): Promise<typeof import('@smithy/signature-v4')> {
  try {
    return await import('@smithy/signature-v4');
  } catch (cause) {
    throw new CredentialsError(`AWS credentials cannot be used: ${String(cause)}`, true);
  }
}

async function defaultChain(region: string): Promise<FindAwsIdentity> {
  const { fromNodeProviderChain } = await import('@aws-sdk/credential-providers');
  return answering(
    () => fromNodeProviderChain({ clientConfig: { region } }),
    async (find): Promise<AwsIdentity> => await find(),
  );
}
