import type { Principal } from '../auth/keyring.ts';
import { isJsonObject, type Json, type JsonObject, tryParseJson } from '../core/json.ts';
import type { Facts } from '../routing/query.ts';

/** A picture costs about this many tokens, whatever the length of its data. */
const IMAGE_TOKENS = 800;
/** English text and code run at about this many characters a token. */
const CHARACTERS_PER_TOKEN = 4;

/** What the conditions of a tree may ask of this request. Looked up only when one does. */
export function requestFacts(
  principal: Principal,
  body: JsonObject,
  metadataHeader: string | undefined,
): Facts {
  let metadata: readonly Json[] | null = null;
  let inputTokens: number | null = null;
  return {
    lookup([root, ...path]) {
      switch (root) {
        case 'tenant':
          return dig({ id: principal.tenant.id, tier: principal.tenant.tier, key: principal.key }, path);
        case 'params':
          return dig(body, path);
        case 'metadata': {
          metadata ??= [body['metadata'] ?? null, parseHeader(metadataHeader)];
          for (const source of metadata) {
            const found = dig(source, path);
            if (found !== undefined) return found;
          }
          return undefined;
        }
        case 'request':
          if (path.length !== 1 || path[0] !== 'input_tokens') return undefined;
          inputTokens ??= estimateInputTokens(body);
          return inputTokens;
        default:
          return undefined;
      }
    },
  };
}

function parseHeader(text: string | undefined): Json {
  return text === undefined ? null : (tryParseJson(text) ?? null);
}

/** Own members only: `params.constructor` is nobody's parameter. */
function dig(value: Json, path: readonly string[]): Json | undefined {
  let found: Json | undefined = value;
  for (const name of path) {
    if (!isJsonObject(found) || !Object.hasOwn(found, name)) return undefined;
    found = found[name];
  }
  return found;
}

/** Tokens that the prompt will take, roughly: by the length of its texts, with a fixed price for each picture. */
export function estimateInputTokens(body: JsonObject): number {
  let characters = 0;
  let images = 0;
  const queue: Json[] = [body['messages'] ?? null, body['tools'] ?? null, body['response_format'] ?? null];
  for (let value = queue.pop(); value !== undefined; value = queue.pop()) {
    if (typeof value === 'string') characters += value.length;
    else if (Array.isArray(value)) for (const inner of value) queue.push(inner);
    else if (isJsonObject(value)) {
      if (value['type'] === 'image_url' || value['type'] === 'input_audio' || value['type'] === 'file')
        images++;
      else {
        for (const [name, inner] of Object.entries(value)) {
          characters += name.length;
          queue.push(inner);
        }
      }
    }
  }
  return Math.ceil(characters / CHARACTERS_PER_TOKEN) + images * IMAGE_TOKENS;
}
