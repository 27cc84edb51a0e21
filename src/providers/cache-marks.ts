import type { CacheMark } from '../chat/conversation.ts';
import type { Drops } from './adapter.ts';

/** More in one request is a 400, say Anthropic's page on prompt caching and Amazon's. */
const MOST_MARKS = 4;

/** A mark for the prompt cache as it stands in a request. */
export interface PlacedMark {
  /** It is for an hour. */
  readonly hour: boolean;
  /** Takes it out. */
  remove(): void;
  /** Makes it one for an hour. */
  extend(): void;
}

/**
 * Leaves no more marks than are allowed. `placed` is in the order in which the prompt has them: tools, system, messages. The last ones stay: what
 * an earlier one stands for is part of what they stand for. And none for five minutes may come before one for an hour: it becomes one for an hour,
 * which what stands before that one is kept for anyway. `whole`: a further mark for the whole request, which counts.
 */
export function settleMarks(placed: readonly PlacedMark[], whole: CacheMark | null, drops: Drops): void {
  const room = MOST_MARKS - (whole === null ? 0 : 1);
  const surplus = Math.max(0, placed.length - room);
  for (const mark of placed.slice(0, surplus)) {
    drops.drop('cache_control', `At most ${MOST_MARKS} markers for the prompt cache are supported.`);
    mark.remove();
  }
  let hour = whole?.ttl === '1h';
  for (const mark of placed.slice(surplus).toReversed()) {
    if (mark.hour) hour = true;
    else if (hour) mark.extend();
  }
}
