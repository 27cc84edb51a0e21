import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';

/** Citations of a text that begins so many characters into the answer. */
export function citedFrom(annotations: Json, from: number): Json {
  if (from === 0 || !Array.isArray(annotations)) return annotations;
  return annotations.map((annotation) => {
    const cited = isJsonObject(annotation) ? annotation['url_citation'] : null;
    if (!isJsonObject(annotation) || !isJsonObject(cited)) return annotation;
    const { start_index: start, end_index: end } = cited;
    // 0 and 0 where the provider gives no place.
    if (typeof start !== 'number' || typeof end !== 'number' || end === 0) return annotation;
    return { ...annotation, url_citation: { ...cited, start_index: start + from, end_index: end + from } };
  });
}

/** Of the tokens of a piece, those that its end is made of: what was before it has been told. Null: none. */
export function tokensFrom(logprobs: Json | undefined, end: Json | undefined): JsonObject | null {
  const tokens = isJsonObject(logprobs) ? logprobs['content'] : null;
  if (!isJsonObject(logprobs) || !Array.isArray(tokens) || typeof end !== 'string') return null;
  let left = end.length;
  const kept: Json[] = [];
  for (const token of tokens.toReversed()) {
    if (left <= 0) break;
    kept.unshift(token);
    const text = isJsonObject(token) ? token['token'] : null;
    left -= typeof text === 'string' ? text.length : 0;
  }
  return { ...logprobs, content: kept };
}
