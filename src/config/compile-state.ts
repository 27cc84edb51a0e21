import type { TenantSettings } from '../auth/settings.ts';
import { secretsOf, toStateSettings } from '../state/schema.ts';
import type { StateSettings } from '../state/settings.ts';
import type { ConfigFile } from './schema.ts';
import type { Scope } from './scope.ts';

export function compileState(
  file: ConfigFile,
  tenants: readonly TenantSettings[],
  scope: Scope,
): StateSettings {
  const state = toStateSettings(file.state);
  if (state.redis !== null) for (const secret of secretsOf(state.redis)) scope.secrets.add(secret);
  checkWorkers(file, state, tenants, scope);
  return state;
}

function checkWorkers(
  { server: { workers } }: ConfigFile,
  { redis }: StateSettings,
  tenants: readonly TenantSettings[],
  scope: Scope,
): void {
  if (workers === 1) return;
  const path = ['server', 'workers'];
  const hasQuotas = tenants.some(({ quotas, keys }) =>
    [quotas, ...keys.map((key) => key.quotas)].some((list) => list.length > 0),
  );
  if (redis === null && hasQuotas) {
    scope.report(
      path,
      'more than one process and no `state.redis`: each would count by itself, and let every quota be used as often as there are processes; set `state.redis`, or take `workers` out',
    );
  } else scope.report(path, 'more than 1 is not supported yet; run several gateways on one Redis instead');
}
