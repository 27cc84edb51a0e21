import type { CacheMark } from '../../chat/conversation.ts';
import type { JsonObject } from '../../core/json.ts';
import type { Drops } from '../adapter.ts';

/** More in one request is a 400, says Anthropic's page on prompt caching. */
const MOST_MARKS = 4;

/** Marks for the prompt cache, put on blocks in the order in which the prompt has them: tools, system, messages. */
export class Marks {
  readonly #marked: JsonObject[] = [];

  put(block: JsonObject, cache: CacheMark | null): void {
    if (cache === null) return;
    block['cache_control'] = control(cache);
    this.#marked.push(block);
  }

  /**
   * Leaves no more than are allowed. The last ones stay: what an earlier one stands for is part of what they stand for. And none for five minutes
   * may come before one for an hour: it becomes one for an hour, which what stands before that one is kept for anyway. `whole`: a further mark
   * for the whole request, which counts.
   */
  settle(whole: CacheMark | null, drops: Drops): void {
    const room = MOST_MARKS - (whole === null ? 0 : 1);
    for (const block of this.#marked.splice(0, Math.max(0, this.#marked.length - room))) {
      drops.drop('cache_control', `At most ${MOST_MARKS} markers for the prompt cache are supported.`);
      delete block['cache_control'];
    }
    let hour = whole?.ttl === '1h';
    for (const block of this.#marked.toReversed()) {
      if (isHour(block)) hour = true;
      else if (hour) block['cache_control'] = control({ ttl: '1h' });
    }
  }
}

export function control({ ttl }: CacheMark): JsonObject {
  return ttl === null ? { type: 'ephemeral' } : { type: 'ephemeral', ttl };
}

function isHour(block: JsonObject): boolean {
  return (block['cache_control'] as JsonObject)['ttl'] === '1h';
}
