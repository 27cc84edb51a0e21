import type { Principal } from '../auth/keyring.ts';
import { isJsonObject, type Json, type JsonObject, tryParseJson } from '../core/json.ts';
import type { Facts } from '../routing/query.ts';
import { estimateInput } from './estimate.ts';
import type { Exchange } from './exchange.ts';

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
          inputTokens ??= estimateInput(body);
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

/** What keeps a conversation to one target is that of its tenant. Longer values are no names of conversations. Characters. */
const LONGEST_STICKY = 1024;

/** The value that keeps a request to one target: of the header of that name, or else of the body's field. Null: it has none. */
export function stickyValue(
  name: string,
  { tenant }: Principal,
  body: JsonObject,
  exchange: Pick<Exchange, 'header'>,
): string | null {
  const found = exchange.header(name.toLowerCase()) ?? dig(body, name.split('.'));
  if (typeof found !== 'string' && typeof found !== 'number') return null;
  const value = String(found).slice(0, LONGEST_STICKY);
  return value === '' ? null : `${tenant.id} ${value}`;
}
