import type { RuntimeConfig } from '../config/runtime.ts';
import type { FileSettings } from '../tenants/admin.ts';

/** What the admin API must know of the file. */
export function fileSettings({
  tenants,
  auth,
  models,
  directModel,
  quotaDefaults,
}: RuntimeConfig): FileSettings {
  return {
    tenants,
    auth,
    models: { isModel: (name) => models.has(name) || directModel(name) !== null, all: () => models.keys() },
    keyGrace: quotaDefaults.keyGrace,
  };
}
