import type { JsonObject } from '../../../src/core/json.ts';

export interface Event {
  type: string;
  data: JsonObject;
}

/** What of each kind of block a delta may be. */
const DELTAS: Readonly<Record<string, readonly string[]>> = {
  text: ['text_delta', 'citations_delta'],
  thinking: ['thinking_delta', 'signature_delta'],
  redacted_thinking: [],
  tool_use: ['input_json_delta'],
};

/**
 * Reads a stream as Anthropic's documentation describes it: one message_start; blocks one after the other with indices from 0, each begun, filled with deltas
 * of its kind and stopped; one message_delta; message_stop, or an error in place of what is left. Pings anywhere. Returns what is wrong, or null.
 */
export function faultIn(events: readonly Event[]): string | null {
  let state: 'before' | 'between' | 'block' | 'told' | 'over' = 'before';
  let index = -1;
  let kind = '';
  let signed = false;
  for (const { type, data } of events) {
    if (state === 'over') return `${type} after the end`;
    if (type === 'ping') continue;
    if (type === 'error') {
      state = 'over';
      continue;
    }
    switch (`${state} ${type}`) {
      case 'before message_start':
        state = 'between';
        break;
      case 'between content_block_start': {
        if (data['index'] !== ++index) return `block ${data['index']} where ${index} was due`;
        kind = String((data['content_block'] as JsonObject)['type']);
        if (DELTAS[kind] === undefined) return `a block of kind ${kind}`;
        signed = false;
        state = 'block';
        break;
      }
      case 'block content_block_delta': {
        const delta = String((data['delta'] as JsonObject)['type']);
        if (data['index'] !== index) return `a delta of block ${data['index']} in block ${index}`;
        if (!DELTAS[kind]?.includes(delta)) return `${delta} in a block of kind ${kind}`;
        if (signed) return `${delta} after the signature`;
        signed = delta === 'signature_delta';
        break;
      }
      case 'block content_block_stop':
        if (data['index'] !== index) return `stop of block ${data['index']} in block ${index}`;
        state = 'between';
        break;
      case 'between message_delta':
        state = 'told';
        break;
      case 'told message_stop':
        state = 'over';
        break;
      default:
        return `${type} in the state '${state}'`;
    }
  }
  return state === 'over' ? null : `it ends in the state '${state}'`;
}
