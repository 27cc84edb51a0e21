import type { ModelEntry } from './runtime.ts';
import type { ConfigFile } from './schema.ts';
import type { Scope } from './scope.ts';

/** Puts every alias beside the model that it leads to, over other aliases if need be; one that leads nowhere is told. */
export function addAliases(
  file: ConfigFile,
  models: Map<string, ModelEntry>,
  directModel: (name: string) => ModelEntry | null,
  scope: Scope,
): void {
  for (const alias of Object.keys(file.aliases)) {
    const path = ['aliases', alias];
    if (scope.names.models.has(alias)) {
      scope.report(path, 'hides the model of the same name; take one of the two out');
      continue;
    }
    const steps = followAlias(alias, file.aliases);
    const name = steps.at(-1) ?? alias;
    if (steps.indexOf(name) < steps.length - 1) {
      scope.report(path, `leads in a circle: ${steps.join(' -> ')}`);
      continue;
    }
    const entry = models.get(name) ?? directModel(name);
    if (entry !== null) models.set(alias, entry);
    // One that leads to another faulty alias says nothing that was not said there.
    else if (steps.length === 2 && !scope.names.models.has(name) && !scope.names.aliases.has(name)) {
      const others = [...scope.names.models, ...scope.names.aliases].filter((other) => other !== alias);
      scope.reportName(path, 'model', name, others);
    }
  }
}

/** The names that an alias leads over, itself first; the last one is there twice if it leads in a circle. */
function followAlias(alias: string, aliases: ConfigFile['aliases']): string[] {
  const steps = [alias];
  for (let name = alias; Object.hasOwn(aliases, name); ) {
    name = aliases[name] ?? '';
    const isCircle = steps.includes(name);
    steps.push(name);
    if (isCircle) break;
  }
  return steps;
}
