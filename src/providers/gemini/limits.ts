import type { Effort, ModelCapabilities } from '../../capabilities/capabilities.ts';
import type { Drops } from '../adapter.ts';

/** What may be sent to a model: what it refuses is dropped, by the client's names. */
export class Limits {
  readonly capabilities: ModelCapabilities;
  readonly drops: Drops;
  readonly #effort: Effort | null;

  constructor(capabilities: ModelCapabilities, drops: Drops, effort: Effort | null) {
    this.capabilities = capabilities;
    this.drops = drops;
    this.#effort = effort;
  }

  /** Does it take the parameter? If not, that is noted, unless nothing is lost with it: `isUsual` says that it is what holds where nobody says anything. */
  takes(name: string, isUsual = false): boolean {
    const { refuses, takesAtNoEffort } = this.capabilities;
    if (!refuses.has(name) || (this.#effort === 'none' && takesAtNoEffort.has(name))) return true;
    if (!isUsual) this.drops.drop(name);
    return false;
  }
}
