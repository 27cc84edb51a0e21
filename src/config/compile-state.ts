import type { TenantSettings } from '../auth/settings.ts';
import type { ProviderSettings } from '../providers/settings.ts';
import { secretsOf, toStateSettings } from '../state/schema.ts';
import type { StateSettings } from '../state/settings.ts';
import type { ConfigFile } from './schema.ts';
import type { Scope } from './scope.ts';

/** Whose requests are counted. */
export interface Counted {
  tenants: readonly TenantSettings[];
  providers: ReadonlyMap<string, ProviderSettings>;
}

export function compileState(file: ConfigFile, counted: Counted, scope: Scope): StateSettings {
  const state = toStateSettings(file.state);
  if (state.redis !== null) for (const secret of secretsOf(state.redis)) scope.secrets.add(secret);
  checkWorkers(file, state, counted, scope);
  return state;
}

function checkWorkers(
  { server: { workers } }: ConfigFile,
  { redis }: StateSettings,
  { tenants, providers }: Counted,
  scope: Scope,
): void {
  if (workers === 1 || redis !== null) return;
  const path = ['server', 'workers'];
  const hasQuotas = tenants.some(({ quotas, keys }) =>
    [quotas, ...keys.map((key) => key.quotas)].some((list) => list.length > 0),
  );
  const hasLimits = [...providers.values()].some(({ limits }) => limits !== null);
  const counted = hasQuotas ? 'quota' : hasLimits ? 'limit of a provider' : null;
  if (counted === null) return;
  scope.report(
    path,
    `more than one process and no \`state.redis\`: each would count by itself, and let every ${counted} be used as often as there are processes; set \`state.redis\`, or take \`workers\` out`,
  );
}
