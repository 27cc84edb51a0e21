import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import { JsonBody } from '../../core/json-body.ts';

/**
 * A chunk of a stream whose usage object says what it cost; everything else in it stays byte for byte. `cost`: US dollars; null = no price
 * is known, and what the host itself says of it stands.
 */
export function withCost(chunk: string, cost: number | null): string {
  let body: JsonBody;
  try {
    body = JsonBody.parse(Buffer.from(chunk));
  } catch {
    // JSON all the same, but of a size or depth that is not worth a second look.
    return chunk;
  }
  const known = cost !== null && Number.isFinite(cost) ? cost : null;
  const { usage, x_groq: groq } = body.value;
  if (isJsonObject(usage)) return changed(body, 'usage', priced(usage, known));
  if (!isJsonObject(groq) || !isJsonObject(groq['usage'])) return chunk;
  return changed(body, 'x_groq', { ...groq, usage: priced(groq['usage'], known) });
}

function priced(usage: JsonObject, cost: number | null): JsonObject {
  return cost === null && usage['cost'] != null ? usage : { ...usage, cost };
}

function changed(body: JsonBody, name: string, value: Json): string {
  return Buffer.concat(body.with(new Map([[name, value]]))).toString();
}
