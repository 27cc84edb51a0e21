import type { Conversation } from '../../chat/conversation.ts';
import { Unsupported } from '../../chat/unsupported.ts';
import type { Json } from '../../core/json.ts';
import type { Drops } from '../adapter.ts';
import { isUnasked } from '../unasked.ts';

/**
 * Parameters that have no place in a conversation. What changes the answer's kind cannot be sent at all; the rest is dropped by name, but for
 * what asks for nothing.
 */
export function noteOthers(conversation: Conversation, drops: Drops): void {
  const { others } = conversation;
  // Google keeps prompts by itself, without being told which.
  if (isMarked(conversation)) drops.drop('cache_control');
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
        if (!isUnasked(name, value)) drops.drop(name);
    }
  }
}

/** A marker for a provider's prompt cache stands somewhere in it. */
function isMarked({ tools, system, turns }: Conversation): boolean {
  const said = turns.flatMap((turn) =>
    turn.role === 'user'
      ? [...turn.results, ...turn.results.flatMap(({ parts }) => parts), ...turn.parts]
      : turn.parts,
  );
  return [...tools, ...system, ...said].some(({ cache }) => cache !== null);
}

function isTextOnly(modalities: Json): boolean {
  return Array.isArray(modalities) && modalities.every((one) => one === 'text');
}
