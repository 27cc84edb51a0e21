import type { JsonObject } from '../core/json.ts';
import type { ThinkingBlock } from './extensions.ts';

const SIGNED: unique symbol = Symbol('signed before');

type Chunk = JsonObject & { [SIGNED]?: readonly ThinkingBlock[] };

/**
 * Notes on a chunk which signed blocks were done before its delta. Chunks as OpenAI's clients read them tell those in one delta at the end; a dialect that
 * has them where they belong needs to know sooner. Beside the JSON, so never printed.
 */
export function noteSignedBefore(chunk: JsonObject, blocks: readonly ThinkingBlock[]): void {
  if (blocks.length > 0) (chunk as Chunk)[SIGNED] = blocks;
}

/** The blocks that were noted on the chunk. */
export function signedBefore(chunk: JsonObject): readonly ThinkingBlock[] {
  return (chunk as Chunk)[SIGNED] ?? NONE;
}

const NONE: readonly ThinkingBlock[] = [];
