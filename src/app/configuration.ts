import { compileFindings, type Findings, loadAside } from '../config/aside.ts';
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
  | {
      ok: true;
      config: RuntimeConfig;
      /** By which another process has the same. */
      findings: Findings;
      /** What loads but cannot be what was meant. */
      warnings: string[];
    }
  | { ok: false; problems: string[] };

/** Reads the configuration as this process runs it. */
export async function readConfiguration(
  source: ConfigurationSource,
  env: NodeJS.ProcessEnv,
): Promise<Configuration> {
  const loaded = await loadAside(source.file, env);
  if (!loaded.ok) return { ok: false, problems: loaded.problems.map(formatProblem) };
  const config = withAddresses(source, loaded.config);
  const { admin } = source;
  if (admin !== null && !isLoopback(admin.host) && config.admin.token === null) {
    return {
      ok: false,
      problems: ['--admin: an address that others can reach needs admin.token in the configuration'],
    };
  }
  const { findings, warnings } = loaded;
  return { ok: true, config, findings, warnings: warnings.map(formatProblem) };
}

/** The same configuration again, as it was found, whatever has become of the file since. */
export function foundConfiguration(
  source: ConfigurationSource,
  findings: Findings,
  env: NodeJS.ProcessEnv,
): { ok: true; config: RuntimeConfig } | { ok: false; problems: string[] } {
  const compiled = compileFindings(findings, { file: source.file, env });
  if (!compiled.ok) return { ok: false, problems: compiled.problems.map(formatProblem) };
  return { ok: true, config: withAddresses(source, compiled.config) };
}

function withAddresses({ listen, admin }: ConfigurationSource, config: RuntimeConfig): RuntimeConfig {
  return {
    ...config,
    listen: listen ?? config.listen,
    admin: { ...config.admin, listen: admin ?? config.admin.listen },
  };
}
