import type { Capabilities } from '../capabilities/table.ts';
import type { ProviderSettings } from '../providers/settings.ts';
import { targetsOf } from '../routing/map-tree.ts';
import type { ModelEntry } from './runtime.ts';
import type { Scope } from './scope.ts';

/** More are not named one by one. */
const MOST_NAMED = 5;

/** Their requests are made by what is known of the model. Hosts that speak OpenAI's dialect are sent what the client sent. */
const MATTERS: ReadonlySet<string> = new Set(['anthropic', 'bedrock', 'gemini', 'vertex']);

/** Warns, in one word for all, of targets whose requests cannot be made to fit. */
export function warnOfUnknown(
  providers: ReadonlyMap<string, ProviderSettings>,
  models: ReadonlyMap<string, ModelEntry>,
  capabilities: Capabilities,
  scope: Scope,
): void {
  const found = new Set<string>();
  for (const { tree } of models.values()) {
    for (const { id, provider, model } of targetsOf(tree)) {
      // Where nothing is read from the environment, a stand-in may be a model's name.
      if (!scope.readSecrets && /[0-9a-f]{64}/.test(model)) continue;
      const adapter = providers.get(provider)?.adapter;
      if (adapter !== undefined && MATTERS.has(adapter) && !capabilities.knows(provider, model))
        found.add(id);
    }
  }
  if (found.size === 0) return;
  const named = [...found].slice(0, MOST_NAMED).join(', ');
  const more = found.size > MOST_NAMED ? ` and ${found.size - MOST_NAMED} more` : '';
  scope.warn(
    ['capabilities'],
    `nothing is known of ${named}${more}: all is sent, even what the model refuses; an entry may say what it is \`like\``,
  );
}
