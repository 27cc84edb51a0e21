import type { AssistantTurn, ToolResult, Turn, UserTurn } from '../../chat/conversation.ts';
import type { ThinkingBlock } from '../../chat/extensions.ts';
import type { JsonObject } from '../../core/json.ts';
import { blocksOf, type ContentRules, contentOf } from './content.ts';
import type { ToolIds } from './tool-ids.ts';

export interface TurnRules extends ContentRules {
  ids: ToolIds;
  /** The model is asked to think: only then may the answer that it is to go on with begin with thoughts. */
  thinks: boolean;
}

/** The turns as messages. One that has nothing to say is left out. */
export function messagesOf(turns: readonly Turn[], rules: TurnRules): JsonObject[] {
  const messages: JsonObject[] = [];
  for (const [index, turn] of turns.entries()) {
    const isLast = index === turns.length - 1;
    const content = contentOf(turnBlocks(turn, isLast, rules));
    if (content.length > 0) messages.push({ role: turn.role, content });
  }
  return messages;
}

function turnBlocks(turn: Turn, isLast: boolean, rules: TurnRules): JsonObject[] {
  switch (turn.role) {
    case 'user':
      return userBlocks(turn, rules);
    case 'assistant':
      return assistantBlocks(turn, isLast, rules);
    case 'system':
      return blocksOf(turn.parts, rules);
  }
}

/** Results must come first, or the calls that they answer count as unanswered. */
function userBlocks({ results, parts }: UserTurn, rules: TurnRules): JsonObject[] {
  return [...results.map((result) => resultBlock(result, rules)), ...blocksOf(parts, rules)];
}

function resultBlock({ callId, parts, isError, cache }: ToolResult, rules: TurnRules): JsonObject {
  const content = contentOf(blocksOf(parts, rules));
  const block: JsonObject = { type: 'tool_result', tool_use_id: rules.ids.of(callId) };
  if (content.length > 0) block['content'] = content;
  // An error without a word is a 400.
  else if (isError) block['content'] = 'The tool failed.';
  if (isError) block['is_error'] = true;
  rules.marks.put(block, cache);
  return block;
}

/** Thoughts first and as they came. They may not be all that there is, and text that is to be gone on with may not end in white space. */
function assistantBlocks(turn: AssistantTurn, isLast: boolean, rules: TurnRules): JsonObject[] {
  const isPrefill = isLast && turn.calls.length === 0;
  const said = blocksOf(isPrefill ? trimmedEnd(turn) : turn.parts, rules);
  const calls = turn.calls.map(({ id, name, input }) => ({
    type: 'tool_use',
    id: rules.ids.of(id),
    name,
    input,
  }));
  if (said.length + calls.length === 0) return [];
  const thinking = isLast && !rules.thinks ? [] : turn.thinking.flatMap(thinkingBlock);
  return [...thinking, ...said, ...calls];
}

function trimmedEnd({ parts }: AssistantTurn): AssistantTurn['parts'] {
  return parts.map((part, index) =>
    index === parts.length - 1 ? { ...part, text: part.text.trimEnd() } : part,
  );
}

/** Only Claude's own, and only what is signed: anything else is a 400. */
function thinkingBlock(block: ThinkingBlock): JsonObject[] {
  if (block.origin !== undefined && block.origin !== 'anthropic') return [];
  if (block.type === 'redacted_thinking') {
    return block.data === '' ? [] : [{ type: block.type, data: block.data }];
  }
  const { type, thinking, signature } = block;
  return signature === '' ? [] : [{ type, thinking, signature }];
}

/**
 * Is a loop of tool calls under way in which an answer does not begin with the thoughts that led to it? With a budget for thinking that is a 400:
 * what answers something that the user said must begin with them, while what follows a tool's result need not.
 */
export function lacksThinking(turns: readonly Turn[]): boolean {
  for (let at = turns.length - 1; at >= 0; at--) {
    const turn = turns[at];
    if (turn?.role === 'user' && turn.results.length === 0) return false;
    if (turn?.role !== 'assistant' || turn.thinking.some((block) => thinkingBlock(block).length > 0))
      continue;
    if (followsWords(turns, at)) return true;
  }
  return false;
}

/** Does the turn answer something that the user said, and not only results? */
function followsWords(turns: readonly Turn[], at: number): boolean {
  for (let before = at - 1; before >= 0; before--) {
    const turn = turns[before];
    if (turn?.role === 'user') return turn.parts.length > 0;
  }
  return true;
}
