import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';

/** What one delta of a chat completion brings, or a whole message; '' and empty lists where it brings nothing of the kind. */
export interface Pieces {
  text: string;
  refusal: string;
  reasoning: string;
  /** The log probabilities of the text's tokens, as the responses API writes them. */
  tokens: JsonObject[];
  /** As the responses API writes them. */
  annotations: JsonObject[];
  /** Signed blocks of the thought, as in `thinking_blocks`. */
  blocks: JsonObject[];
  /** Google's signature of the text. */
  textSignature: string | null;
  calls: CallPiece[];
}

export interface CallPiece {
  /** Which call this is a piece of; null where the host does not say. */
  index: number | null;
  id: string;
  name: string;
  args: string;
  /** Google's. */
  signature: string | null;
}

/** Reads what it knows, and passes over what is of the wrong type. */
export function piecesOf(delta: JsonObject, logprobs: Json | undefined): Pieces {
  const { text, thought } = contentOf(delta['content']);
  return {
    text,
    refusal: textIn(delta['refusal']),
    // Some hosts send the same thought under both names.
    reasoning: textIn(delta['reasoning_content']) || textIn(delta['reasoning']) || thought,
    tokens: objects(isJsonObject(logprobs) ? logprobs['content'] : null).flatMap(tokenOf),
    annotations: objects(delta['annotations']).flatMap(annotationOf),
    blocks: objects(delta['thinking_blocks']).map(withoutIndex),
    textSignature: signatureIn(delta),
    calls: objects(delta['tool_calls']).map(callOf),
  };
}

/** Mistral writes lists, in which its thoughts are parts of their own. */
function contentOf(content: Json | undefined): { text: string; thought: string } {
  if (!Array.isArray(content)) return { text: textIn(content), thought: '' };
  let text = '';
  let thought = '';
  for (const part of objects(content)) {
    if (part['type'] === 'thinking') {
      const parts = part['thinking'];
      thought +=
        textIn(parts) ||
        objects(parts)
          .map(({ text }) => textIn(text))
          .join('');
    } else text += textIn(part['text']);
  }
  return { text, thought };
}

/** In a stream each has its place among them, for clients that put them together by it. */
function withoutIndex({ index: _, ...block }: JsonObject): JsonObject {
  return block;
}

function callOf(call: JsonObject): CallPiece {
  const made = call['function'];
  const { name, arguments: args } = isJsonObject(made) ? made : {};
  return {
    index: typeof call['index'] === 'number' ? call['index'] : null,
    id: textIn(call['id']),
    name: textIn(name),
    // Ollama's own way, which some hosts before it let through.
    args: isJsonObject(args) ? JSON.stringify(args) : textIn(args),
    signature: signatureIn(call),
  };
}

function signatureIn(owner: JsonObject): string | null {
  const extra = owner['extra_content'];
  const google = isJsonObject(extra) ? extra['google'] : null;
  const signature = isJsonObject(google) ? google['thought_signature'] : null;
  return typeof signature === 'string' && signature !== '' ? signature : null;
}

function annotationOf({ type, url_citation: cited }: JsonObject): JsonObject[] {
  if (type !== 'url_citation' || !isJsonObject(cited)) return [];
  const { url, title, start_index: start, end_index: end } = cited;
  if (typeof url !== 'string') return [];
  return [
    {
      type,
      url,
      title: textIn(title),
      start_index: typeof start === 'number' ? start : 0,
      end_index: typeof end === 'number' ? end : 0,
    },
  ];
}

function tokenOf(token: JsonObject): JsonObject[] {
  const likely = likelihood(token);
  if (likely === null) return [];
  const others = objects(token['top_logprobs']).flatMap((other) => likelihood(other) ?? []);
  return [{ ...likely, top_logprobs: others }];
}

function likelihood({ token, logprob, bytes }: JsonObject): JsonObject | null {
  if (typeof token !== 'string' || typeof logprob !== 'number') return null;
  const isBytes = Array.isArray(bytes) && bytes.every((byte) => typeof byte === 'number');
  return { token, logprob, bytes: isBytes ? bytes : [] };
}

function textIn(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}

function objects(value: Json | undefined): JsonObject[] {
  return Array.isArray(value) ? value.filter(isJsonObject) : [];
}
