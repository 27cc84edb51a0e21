import { isJsonObject, type JsonObject } from '../../core/json.ts';
import type { Drops } from '../adapter.ts';
import { type PlacedMark, settleMarks } from '../cache-marks.ts';

/** Where blocks stand in a Converse request, in the order in which the prompt has them. */
export interface BlockLists {
  tools: JsonObject[];
  system: JsonObject[];
  messages: readonly JsonObject[];
}

/** Leaves no more cache points than are allowed, and none that is kept for longer than those before it. */
export function settleCachePoints({ tools, system, messages }: BlockLists, drops: Drops): void {
  const contents = messages.map(({ content }) => content as JsonObject[]);
  settleMarks([tools, system, ...contents].flatMap(pointsIn), null, drops);
}

function pointsIn(blocks: JsonObject[]): PlacedMark[] {
  return blocks.flatMap((block): PlacedMark[] => {
    const point = block['cachePoint'];
    if (!isJsonObject(point)) return [];
    return [
      {
        hour: point['ttl'] === '1h',
        remove: () => void blocks.splice(blocks.indexOf(block), 1),
        extend: () => {
          block['cachePoint'] = { ...point, ttl: '1h' };
        },
      },
    ];
  });
}
