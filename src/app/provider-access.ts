import type { RuntimeConfig } from '../config/runtime.ts';
import { awsCredentials } from '../credentials/aws.ts';
import type { Credentials, UnsignedCall } from '../credentials/credentials.ts';
import { entraCredentials } from '../credentials/entra.ts';
import { googleCredentials } from '../credentials/google.ts';
import { ADAPTERS, type AdapterName } from '../providers/adapters.ts';
import type { ProviderSettings } from '../providers/settings.ts';

/** What providers are called with that takes time to bring in: vendors' libraries, and credentials where there is no key. */
export class ProviderAccess {
  /** By what makes them others; kept from one configuration to the next. */
  readonly #known = new Map<string, LazyCredentials>();

  /** Of the providers that are called without a key, by their ids. Opened when they are first used, or by `prepare`. */
  credentials(config: RuntimeConfig): Map<string, LazyCredentials> {
    const found = new Map<string, LazyCredentials>();
    for (const provider of config.providers.values()) {
      const open = opener(provider);
      if (open === null) continue;
      const key = JSON.stringify([provider.adapter, provider.region, provider.project]);
      const known = this.#known.get(key) ?? new LazyCredentials(open);
      this.#known.set(key, known);
      found.set(provider.id, known);
    }
    return found;
  }

  /** Brings in all that this configuration needs. Rejects with a message for the operator. */
  async prepare(config: RuntimeConfig): Promise<void> {
    const credentials = this.credentials(config);
    const providers = [...config.providers.values()];
    await Promise.all(
      providers.map(async ({ id, adapter }) => {
        try {
          await ADAPTERS[adapter as AdapterName].load?.();
          await credentials.get(id)?.open();
        } catch (error) {
          throw new Error(whatIsMissing(id, adapter, error));
        }
      }),
    );
  }
}

/** The vendors' libraries may have been left out of an installation. */
function whatIsMissing(provider: string, adapter: string, error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const [name] = /@?[\w-]+\/[\w-]+(?=')|google-auth-library/.exec(message) ?? [];
  if (name === undefined || !/cannot find|need/i.test(message)) return `provider ${provider}: ${message}`;
  return `provider ${provider}: \`adapter: ${adapter}\` needs the package ${name}, which is not installed here; \`npm ci\` brings it`;
}

function opener(provider: ProviderSettings): (() => Promise<Credentials>) | null {
  if (provider.apiKeys.some((key) => key !== null)) return null;
  switch (ADAPTERS[provider.adapter as AdapterName].identity) {
    case 'aws':
      return () => awsCredentials({ region: provider.region ?? '', service: 'bedrock' });
    case 'google':
      return () => googleCredentials();
    case 'entra':
      return () => entraCredentials();
    case null:
      return null;
  }
}

/** Credentials whose library is brought in once, when they are first wanted. */
class LazyCredentials implements Credentials {
  readonly #make: () => Promise<Credentials>;
  #opened: Promise<Credentials> | null = null;

  constructor(make: () => Promise<Credentials>) {
    this.#make = make;
  }

  open(): Promise<Credentials> {
    this.#opened ??= this.#make().catch((error: unknown) => {
      // The next one may find what was missing.
      this.#opened = null;
      throw error;
    });
    return this.#opened;
  }

  async authorize(call: UnsignedCall): Promise<readonly string[]> {
    return (await this.open()).authorize(call);
  }
}
