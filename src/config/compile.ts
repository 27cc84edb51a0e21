import { Capabilities } from '../capabilities/table.ts';
import { NO_PRICES, Prices } from '../pricing/prices.ts';
import type { PriceTable } from '../pricing/settings.ts';
import { toQuotaDefaults } from '../quota/schema.ts';
import { toIdempotencySettings } from '../replay/schema.ts';
import type { IdempotencySettings } from '../replay/settings.ts';
import { type CompiledCapabilities, compileCapabilities } from './compile-capabilities.ts';
import { compileModels, type Origins } from './compile-models.ts';
import { compilePrices } from './compile-prices.ts';
import { compileProviders } from './compile-providers.ts';
import { compileAdmin, compileServer } from './compile-server.ts';
import { compileState } from './compile-state.ts';
import { compileTenants } from './compile-tenants.ts';
import type { RuntimeConfig } from './runtime.ts';
import type { ConfigFile } from './schema.ts';
import type { Scope } from './scope.ts';
import { warnOfUnknown } from './unknown-models.ts';
import { warnOfUnpriced } from './unpriced.ts';

/** What is read from files of tables. It can be sent to another thread. */
export interface Tables {
  /** Null: the file is not at hand. */
  prices: PriceTable | null;
  capabilities: CompiledCapabilities;
}

export interface Compiled {
  config: RuntimeConfig;
  origins: Origins;
  tables: Tables;
}

/** Shorter ones can be guessed. Characters. */
const SHORTEST_ENCRYPTION_KEY = 16;

function compileIdempotency(file: ConfigFile, scope: Scope): IdempotencySettings {
  const settings = toIdempotencySettings(file.idempotency);
  const { encryptionKey } = settings;
  if (encryptionKey !== null) {
    scope.secrets.add(encryptionKey);
    if (encryptionKey.length < SHORTEST_ENCRYPTION_KEY)
      scope.report(
        ['idempotency', 'encryption_key'],
        `expected at least ${SHORTEST_ENCRYPTION_KEY} characters`,
      );
  }
  return settings;
}

/**
 * A file that fits its schema, to what runs. What is wrong with it goes to `scope`; the result is of use only if nothing was. `asRead`: the
 * tables, where they have been read.
 */
export function compile(file: ConfigFile, scope: Scope, asRead?: Tables): Compiled {
  const providers = compileProviders(file, scope);
  const { models, directModel, origins } = compileModels(file, scope);
  const isModel = (name: string) =>
    scope.names.models.has(name) || scope.names.aliases.has(name) || directModel(name) !== null;
  const tenants = compileTenants(file, scope, isModel);
  const tables = asRead ?? {
    prices: compilePrices(file, scope),
    capabilities: compileCapabilities(file, scope),
  };
  const admin = compileAdmin(file, scope);
  const server = compileServer(file, scope);
  const state = compileState(file, { tenants, providers }, scope);
  if (models.size === 0 && !file.direct_models) {
    scope.warn(['models'], 'there is no model to ask for; add one, or set `direct_models: true`');
  }
  const config: RuntimeConfig = {
    listen: file.listen,
    admin,
    server,
    state,
    providers,
    models,
    directModel,
    auth: file.auth,
    tenants,
    prices: tables.prices === null ? NO_PRICES : new Prices(tables.prices),
    capabilities: new Capabilities(tables.capabilities.tables),
    quotaDefaults: toQuotaDefaults(file.quota_defaults),
    idempotency: compileIdempotency(file, scope),
    log: { level: file.log.level, requestBodies: file.log.request_bodies },
    secrets: [...scope.secrets],
  };
  return { config, origins, tables };
}

/** Warns of what cannot be meant, by what the parts are to each other. */
export function lookOver({ config, tables }: Compiled, scope: Scope): void {
  const { tenants, models, prices, providers, capabilities } = config;
  if (tables.prices !== null) warnOfUnpriced(tenants, models, prices, scope);
  if (tables.capabilities.from !== null) warnOfUnknown(providers, models, capabilities, scope);
}
