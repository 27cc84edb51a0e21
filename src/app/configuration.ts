import { loadAside } from '../config/aside.ts';
import type { ReadFiles } from '../config/files.ts';
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

/** `files`: all that was read for it. */
export type Configuration = { files: ReadFiles } & (
  | {
      ok: true;
      config: RuntimeConfig;
      /** What loads but cannot be what was meant. */
      warnings: string[];
    }
  | { ok: false; problems: string[] }
);

/** Reads the configuration as this process runs it. `asRead`: what is read instead of the disk; null: the disk. */
export async function readConfiguration(
  { file, listen, admin }: ConfigurationSource,
  { env, asRead }: { env: NodeJS.ProcessEnv; asRead: ReadFiles | null },
): Promise<Configuration> {
  const loaded = await loadAside({ file, env, asRead });
  const { files } = loaded;
  if (!loaded.ok) return { ok: false, files, problems: loaded.problems.map(formatProblem) };
  const { config } = loaded;
  if (admin !== null && !isLoopback(admin.host) && config.admin.token === null) {
    return {
      ok: false,
      files,
      problems: ['--admin: an address that others can reach needs admin.token in the configuration'],
    };
  }
  return {
    ok: true,
    files,
    warnings: loaded.warnings.map(formatProblem),
    config: {
      ...config,
      listen: listen ?? config.listen,
      admin: { ...config.admin, listen: admin ?? config.admin.listen },
    },
  };
}
