import { createHash } from 'node:crypto';
import { isJsonObject, type JsonObject } from '../../core/json.ts';

/** OpenAI's limit; Anthropic takes 128, and the names of tools from MCP servers get that long. Characters. */
const LONGEST = 64;
/** Of the hash that tells shortened names apart. Hexadecimal digits. */
const DIGITS = 12;

/** A tool's name as chat completions take it. The same name always becomes the same. */
export function shortName(name: string): string {
  if (name.length <= LONGEST) return name;
  const hash = createHash('sha256').update(name).digest('hex').slice(0, DIGITS);
  return `${name.slice(0, LONGEST - DIGITS - 1)}_${hash}`;
}

/** From shortened names back to those of the client's tools. */
export class ToolNames {
  readonly #long = new Map<string, string>();

  constructor(request: JsonObject) {
    const tools = request['tools'];
    if (!Array.isArray(tools)) return;
    for (const tool of tools) {
      const name = isJsonObject(tool) ? tool['name'] : null;
      if (typeof name === 'string' && name.length > LONGEST) this.#long.set(shortName(name), name);
    }
  }

  original(name: string): string {
    return this.#long.get(name) ?? name;
  }
}
