import type { ConfigFiles } from '../config/files.ts';
import { loadConfig } from '../config/load.ts';
import { formatProblem } from '../config/problem.ts';
import type { RuntimeConfig } from '../config/runtime.ts';
import { isLoopback } from '../server/schema.ts';
import type { Address } from '../server/settings.ts';

/** A configuration and what stands above it. */
export interface ConfigurationSource {
  file: string;
  /** Of the command line; null: the file's own. */
  listen: Address | null;
  admin: Address | null;
}

export type Configuration =
  /** `warnings`: what loads but cannot be what was meant. */
  { ok: true; config: RuntimeConfig; warnings: string[] } | { ok: false; problems: string[] };

/** Reads the configuration as this process runs it. */
export function readConfiguration(
  { file, listen, admin }: ConfigurationSource,
  { env, files }: { env: NodeJS.ProcessEnv; files: ConfigFiles },
): Configuration {
  const loaded = loadConfig(file, { env, readSecrets: true, files });
  if (!loaded.ok) return { ok: false, problems: loaded.problems.map(formatProblem) };
  const { config } = loaded;
  if (admin !== null && !isLoopback(admin.host) && config.admin.token === null) {
    return {
      ok: false,
      problems: ['--admin: an address that others can reach needs admin.token in the configuration'],
    };
  }
  return {
    ok: true,
    warnings: loaded.warnings.map(formatProblem),
    config: {
      ...config,
      listen: listen ?? config.listen,
      admin: { ...config.admin, listen: admin ?? config.admin.listen },
    },
  };
}
