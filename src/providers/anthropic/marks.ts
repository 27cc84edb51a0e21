import type { CacheMark } from '../../chat/conversation.ts';
import type { JsonObject } from '../../core/json.ts';
import type { Drops } from '../adapter.ts';
import { type PlacedMark, settleMarks } from '../cache-marks.ts';

/** Marks for the prompt cache, put on blocks in the order in which the prompt has them: tools, system, messages. */
export class Marks {
  readonly #placed: PlacedMark[] = [];

  put(block: JsonObject, cache: CacheMark | null): void {
    if (cache === null) return;
    block['cache_control'] = control(cache);
    this.#placed.push({
      hour: cache.ttl === '1h',
      remove: () => {
        delete block['cache_control'];
      },
      extend: () => {
        block['cache_control'] = control({ ttl: '1h' });
      },
    });
  }

  /** See `settleMarks`. */
  settle(whole: CacheMark | null, drops: Drops): void {
    settleMarks(this.#placed, whole, drops);
  }
}

export function control({ ttl }: CacheMark): JsonObject {
  return ttl === null ? { type: 'ephemeral' } : { type: 'ephemeral', ttl };
}
