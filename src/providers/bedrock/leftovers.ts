import type { Conversation } from '../../chat/conversation.ts';
import type { JsonObject } from '../../core/json.ts';
import { Unsupported } from '../adapter.ts';
import { countOf, dropDetail, dropSecondUser, isUnasked, nameOfUser } from '../unasked.ts';
import { type Target, takes } from './target.ts';

/** What has no place in a Converse request: dropped, or an error where the answer would be another. */
export function dropLeftovers(conversation: Conversation, { drops }: Target): void {
  const { n, seed, presencePenalty, frequencyPenalty, logprobs, topLogprobs, others } = conversation;
  if (n > 1) throw new Unsupported('n', 'Only one answer to a request is supported.');
  if (seed !== null) drops.drop('seed');
  // 0 is no penalty at all.
  if (presencePenalty) drops.drop('presence_penalty');
  if (frequencyPenalty) drops.drop('frequency_penalty');
  if (logprobs) drops.drop('logprobs');
  if (topLogprobs !== null && topLogprobs > 0) drops.drop('top_logprobs');
  for (const [name, value] of Object.entries(others)) {
    switch (name) {
      case 'thinking':
      case 'cache_control':
        // Read where they belong.
        break;
      case 'audio':
        throw new Unsupported(name, 'Audio output is not supported.');
      case 'modalities':
        if (!Array.isArray(value) || value.some((one) => one !== 'text')) {
          throw new Unsupported(name, 'Only text can be asked for.');
        }
        break;
      case 'functions':
      case 'function_call':
        throw new Unsupported(name, 'Functions are called by way of tools.');
      default:
        if (!isUnasked(name, value)) drops.drop(name);
    }
  }
  dropDetail(conversation, () => false, drops);
}

const TIERS = new Set(['default', 'priority', 'flex', 'reserved']);

/** `serviceTier`; null: whichever it is. */
export function serviceTier({ serviceTier: asked }: Conversation, target: Target): JsonObject | null {
  if (asked === null || asked === 'auto') return null;
  const type = asked === 'fast' ? 'priority' : asked;
  if (TIERS.has(type) && takes(target, 'service_tier')) return { type };
  if (type !== 'default') target.drops.drop('service_tier');
  return null;
}

/** AWS's bounds for what may stand beside a request in its logs. */
const MOST_ENTRIES = 16;
const ENTRY = /^[a-zA-Z0-9\s:_@$#=/+,.-]{0,256}$/;

/** `requestMetadata`; null: there is none. */
export function requestMetadata(
  { metadata, user }: Conversation,
  asked: JsonObject,
  { drops }: Target,
): JsonObject | null {
  const entries: [string, string][] = [];
  for (const [name, value] of Object.entries(metadata ?? {})) {
    if (name !== '' && ENTRY.test(name) && ENTRY.test(value) && entries.length < MOST_ENTRIES)
      entries.push([name, value]);
    else drops.drop('metadata');
  }
  if (countOf(asked['metadata']) > Object.keys(metadata ?? {}).length) drops.drop('metadata');
  dropSecondUser(asked, drops);
  if (user !== null) {
    const isTaken = entries.some(([name]) => name === 'user');
    if (!isTaken && ENTRY.test(user) && entries.length < MOST_ENTRIES) entries.push(['user', user]);
    else drops.drop(nameOfUser(asked));
  }
  return entries.length === 0 ? null : Object.fromEntries(entries);
}
