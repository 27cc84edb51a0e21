import { isJsonObject } from '../core/json.ts';
import {
  IMAGE_TOKENS,
  NAMED_FILE_TOKENS,
  tokensOfBase64,
  tokensOfJson,
  tokensOfSound,
  tokensOfText,
} from '../core/tokens.ts';
import { chooseMarkers, type Place } from './cache-places.ts';
import type { CacheMark, Conversation, Part, ToolResult, Turn } from './conversation.ts';

export { markMessages } from './cache-messages.ts';

/** Places markers for the provider's prompt cache in a conversation; see `chooseMarkers`. The client's own stay, and count. */
export function markConversation(conversation: Conversation): void {
  const found = new Found();
  for (const tool of conversation.tools) {
    const tokens = tokensOfText(`${tool.name}${tool.description ?? ''}`) + tokensOfJson(tool.parameters);
    found.add({ kind: 'tool', turn: -1, role: null, tokens }, tool);
  }
  for (const part of conversation.system) {
    found.add({ kind: 'system', turn: -1, role: null, tokens: tokensOfPart(part) }, part);
  }
  for (const [index, turn] of conversation.turns.entries()) addTurn(turn, index, found);
  const control = conversation.others['cache_control'];
  found.mark(isJsonObject(control) ? { hour: control['ttl'] === '1h' } : null);
}

/** What can be marked in a conversation. */
interface Markable {
  cache: CacheMark | null;
}

/** The places of a conversation, and whose they are. */
class Found {
  readonly #places: Place[] = [];
  readonly #owners: (Markable | null)[] = [];

  /** `owner` null: it cannot be marked. `inner`: what it holds, and may be marked by the client. */
  add(
    place: Pick<Place, 'kind' | 'turn' | 'role' | 'tokens'>,
    owner: (Markable & Partial<Part>) | null,
    inner: readonly Markable[] = [],
  ): void {
    const marks = [owner, ...inner].flatMap((one) => one?.cache ?? []);
    const isBlank = owner?.kind === 'text' && owner.text?.trim() === '';
    const hour = marks.some(({ ttl }) => ttl === '1h');
    this.#places.push({ ...place, markable: owner !== null && !isBlank, marks: marks.length, hour });
    this.#owners.push(owner);
  }

  mark(whole: { hour: boolean } | null): void {
    for (const [index, ttl] of chooseMarkers(this.#places, whole)) {
      const owner = this.#owners[index];
      if (owner) owner.cache = { ttl };
    }
  }
}

function addTurn(turn: Turn, index: number, found: Found): void {
  switch (turn.role) {
    case 'user': {
      const place = { turn: index, role: 'user' } as const;
      for (const result of turn.results) {
        found.add({ ...place, kind: 'result', tokens: tokensOfResult(result) }, result, result.parts);
      }
      for (const part of turn.parts)
        found.add({ ...place, kind: 'content', tokens: tokensOfPart(part) }, part);
      return;
    }
    case 'assistant': {
      const place = { kind: 'other', turn: index, role: 'assistant' } as const;
      for (const block of turn.thinking) {
        const tokens = tokensOfText(block.type === 'thinking' ? block.thinking : block.data);
        found.add({ ...place, tokens }, null);
      }
      for (const part of turn.parts) found.add({ ...place, tokens: tokensOfPart(part) }, part);
      for (const { name, input } of turn.calls) {
        found.add({ ...place, tokens: tokensOfText(name) + tokensOfJson(input) }, null);
      }
      return;
    }
    case 'system':
      for (const part of turn.parts) {
        found.add({ kind: 'other', turn: index, role: null, tokens: tokensOfPart(part) }, part);
      }
  }
}

function tokensOfResult({ parts }: ToolResult): number {
  return parts.reduce((sum, part) => sum + tokensOfPart(part), 0);
}

function tokensOfPart(part: Part): number {
  switch (part.kind) {
    case 'text':
      return tokensOfText(part.text);
    case 'image':
      return IMAGE_TOKENS;
    case 'audio':
      return tokensOfSound(part.data.length);
    case 'file': {
      const { source } = part;
      if (source.kind === 'url') return NAMED_FILE_TOKENS;
      return tokensOfBase64(source.data.length, source.mediaType.startsWith('text/'));
    }
  }
}
