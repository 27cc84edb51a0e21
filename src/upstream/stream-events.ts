import type { JsonObject } from '../core/json.ts';
import type { EventReader } from '../providers/event-reader.ts';
import { withCost } from '../providers/openai/usage-cost.ts';
import { encodeData, encodeEvent } from '../sse/encoder.ts';
import type { Price } from './stream-roles.ts';

/** A relayed event that cannot pass as the bytes that it was. `type` '': it is told none. */
export function encodeAnew(
  { data, type }: { data: string; type: string },
  { mended, usage }: EventReader,
  price: Price | null,
): Buffer {
  let text = mended === null ? data : JSON.stringify(mended);
  if (price !== null && usage !== null) text = withCost(text, price(usage));
  // Line ends in JSON mean nothing, and many a client reads only one data line.
  const line = text.includes('\n') ? text.replaceAll('\n', ' ') : text;
  return type === '' ? encodeData(line) : encodeEvent(type, line);
}

/** A chunk that a translator made. */
export function encodeChunk(
  chunk: JsonObject,
  { reportsUsage, usage }: EventReader,
  price: Price | null,
  wantsUsage: boolean,
): Buffer {
  const cost = reportsUsage && usage !== null ? (price?.(usage) ?? null) : null;
  let told = chunk;
  if (cost !== null) told = { ...chunk, usage: { ...(chunk['usage'] as JsonObject), cost } };
  // As OpenAI's own chunks have it, for who asked for usage.
  else if (wantsUsage && chunk['usage'] === undefined) told = { ...chunk, usage: null };
  return encodeData(JSON.stringify(told));
}

/** By its type, an event that a stream can go on without: in dialects of named events all others say what the pieces belong to. */
export function isPiece(type: string): boolean {
  return type === 'ping' || type === '' || type.endsWith('delta');
}

/** In words, what was wrong with the bytes. */
export function malformed(error: unknown): string {
  return `malformed stream: ${error instanceof Error ? error.message : String(error)}`;
}
