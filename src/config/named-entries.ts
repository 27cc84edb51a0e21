import { formatPath, type Path } from './problem.ts';
import type { Reports } from './reports.ts';

/** An entry of a table of models. */
export interface NamedEntry {
  models: readonly string[];
  providers?: readonly string[] | undefined;
}

/** Tells of names that stand twice for the same provider. `known`: those of the entries before; `has`: what they have. */
export function checkNames(
  entry: NamedEntry,
  path: Path,
  known: Map<string, string>,
  has: string,
  reports: Reports,
): void {
  for (const [index, name] of entry.models.entries()) {
    const place = [...path, 'models', index];
    for (const provider of entry.providers ?? ['']) {
      // No id of a provider holds a space.
      const key = `${provider} ${name}`;
      const owner = known.get(key);
      if (owner !== undefined) reports.report(place, `has ${has} already, at \`${owner}\``);
      else known.set(key, formatPath(place));
    }
  }
}

/** A file may serve several gateways, so this is no problem. */
export function checkProviders(
  entry: NamedEntry,
  path: Path,
  known: ReadonlySet<string>,
  reports: Reports,
): void {
  for (const [index, provider] of (entry.providers ?? []).entries()) {
    if (known.has(provider)) continue;
    reports.warnName([...path, 'providers', index], 'provider', provider, known);
  }
}
