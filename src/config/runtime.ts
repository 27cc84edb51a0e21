import type { TenantSettings } from '../auth/settings.ts';
import type { Capabilities } from '../capabilities/table.ts';
import type { Prices } from '../pricing/prices.ts';
import type { ProviderSettings } from '../providers/settings.ts';
import type { QuotaDefaults } from '../quota/settings.ts';
import type { IdempotencySettings } from '../replay/settings.ts';
import type { TargetSettings } from '../routing/target.ts';
import type { TreeNode } from '../routing/tree.ts';
import type { Address, ServerSettings } from '../server/settings.ts';
import type { StateSettings } from '../state/settings.ts';

/**
 * A configuration as it runs: environment read, names looked up, defaults filled in, trees built. What was written is
 * the schema's business; this fails when it is loaded, not when a request comes.
 */
export interface RuntimeConfig {
  listen: Address;
  admin: { listen: Address; token: string | null };
  server: ServerSettings;
  state: StateSettings;
  providers: ReadonlyMap<string, ProviderSettings>;
  /** By the names that clients send, aliases included. */
  models: ReadonlyMap<string, ModelEntry>;
  /** Makes the tree of `provider/model` where `direct_models` is on; null where it is off or there is no such provider. */
  directModel(name: string): ModelEntry | null;
  auth: 'keys' | 'none';
  tenants: readonly TenantSettings[];
  prices: Prices;
  capabilities: Capabilities;
  quotaDefaults: QuotaDefaults;
  idempotency: IdempotencySettings;
  log: { level: LogLevel; requestBodies: boolean };
  /** Every secret that the file named (provider keys, the admin token, values of provider headers): never to be shown. */
  secrets: readonly string[];
}

export interface ModelEntry {
  /** The name under `models` that an alias resolves to (its own for one that is no alias). */
  name: string;
  tree: TreeNode<TargetSettings>;
}

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';
