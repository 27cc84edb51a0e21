import type { NamedModels } from '../core/model-table.ts';
import type { ModelCapabilities } from './capabilities.ts';

/** What is known of models, as a file says it. */
export interface CapabilityTable {
  /** How hosts write names: `{}` stands for a name without wildcards, `*` for any text, `#` for a digit. */
  spellings: readonly string[];
  entries: readonly NamedModels<ModelCapabilities>[];
}
