import { Unsupported } from '../../chat/unsupported.ts';
import type { Json, JsonObject } from '../../core/json.ts';
import type { Drops } from '../adapter.ts';

/**
 * Parameters that have no place in a conversation. What changes the answer's kind cannot be sent at all; the rest is dropped by name, but for
 * what asks for nothing.
 */
export function noteOthers(others: JsonObject, drops: Drops): void {
  for (const [name, value] of Object.entries(others)) {
    switch (name) {
      case 'modalities':
        if (!isTextOnly(value)) throw new Unsupported(name, 'Only answers as text are supported.');
        break;
      case 'audio':
        throw new Unsupported(name, 'Audio output is not supported.');
      case 'functions':
      case 'function_call':
        throw new Unsupported(name, `'${name}' is not supported; 'tools' and 'tool_choice' took its place.`);
      default:
        if (value !== false) drops.drop(name);
    }
  }
}

function isTextOnly(modalities: Json): boolean {
  return Array.isArray(modalities) && modalities.every((one) => one === 'text');
}
