import type { AssistantTurn, Conversation, Part, TextPart, UserTurn } from '../../chat/conversation.ts';
import type { ThinkingBlock } from '../../chat/extensions.ts';
import { isBlank } from './content.ts';
import type { Target } from './target.ts';

/** A conversation as Converse wants it: user and assistant in turn, the user first, and what the system says apart. */
export interface Settled {
  system: TextPart[];
  turns: (UserTurn | AssistantTurn)[];
}

/** Stands where a conversation must begin with the user, and does not. */
const OPENING = '(The conversation begins.)';

/** `withTools`: the request has tools to offer; without, calls and results of earlier turns are told as text, for Converse refuses them as blocks. */
export function settle(conversation: Conversation, target: Target, withTools: boolean): Settled {
  const system = [...conversation.system];
  const turns: (UserTurn | AssistantTurn)[] = [];
  for (const turn of conversation.turns) {
    if (turn.role === 'system') system.push(...turn.parts);
    else if (turn.role === 'user') addUser(turns, withTools ? turn : toldResults(turn));
    else addAssistant(turns, withTools ? turn : toldCalls(turn), target);
  }
  if (turns[0]?.role !== 'user') turns.unshift({ role: 'user', results: [], parts: [textPart(OPENING)] });
  return { system: system.filter(({ text }) => !isBlank(text)), turns };
}

function addUser(turns: (UserTurn | AssistantTurn)[], turn: UserTurn): void {
  const parts = turn.parts.filter(isSaid);
  if (parts.length + turn.results.length === 0) return;
  const last = turns.at(-1);
  if (last?.role === 'user') {
    last.results.push(...turn.results);
    last.parts.push(...parts);
  } else turns.push({ role: 'user', results: [...turn.results], parts });
}

function addAssistant(turns: (UserTurn | AssistantTurn)[], turn: AssistantTurn, target: Target): void {
  const parts = turn.parts.filter(isSaid);
  // Thoughts alone are no message: they are handed back with what followed from them.
  if (parts.length + turn.calls.length === 0) return;
  const thinking = turn.thinking.filter((block) => isOwn(block, target));
  const last = turns.at(-1);
  if (last?.role === 'assistant') {
    last.thinking.push(...thinking);
    last.parts.push(...parts);
    last.calls.push(...turn.calls);
  } else turns.push({ ...turn, thinking, parts, calls: [...turn.calls] });
}

function isSaid(part: Part): boolean {
  return part.kind !== 'text' || !isBlank(part.text);
}

/** No model takes another's signature, nor an empty one. */
function isOwn(block: ThinkingBlock, target: Target): boolean {
  const { origin = 'anthropic' } = block;
  const signed = block.type === 'thinking' ? block.signature : block.data;
  return origin === originOf(target) && signed !== '';
}

/** Whose the signatures are of what the target thinks. */
export function originOf({ family }: Pick<Target, 'family'>): 'anthropic' | 'bedrock' {
  return family === 'claude' ? 'anthropic' : 'bedrock';
}

function toldResults(turn: UserTurn): UserTurn {
  if (turn.results.length === 0) return turn;
  const told = turn.results.flatMap(({ callId, name, parts, isError, cache }): Part[] => {
    const texts = parts.flatMap((part) => (part.kind === 'text' ? [part.text] : []));
    const of = name === null ? `call ${callId}` : `the tool ${name}, call ${callId}`;
    const head = textPart(`[${isError ? 'Error' : 'Result'} of ${of}]\n${texts.join('\n')}`);
    const all = [head, ...parts.filter(({ kind }) => kind !== 'text')];
    const last = all.at(-1);
    if (last !== undefined && cache !== null) last.cache ??= cache;
    return all;
  });
  return { role: 'user', results: [], parts: [...told, ...turn.parts] };
}

function toldCalls(turn: AssistantTurn): AssistantTurn {
  if (turn.calls.length === 0) return turn;
  const told = turn.calls.map(({ id, name, input }) =>
    textPart(`[Called the tool ${name}, call ${id}, with ${JSON.stringify(input)}]`),
  );
  // What was thought before a call is signed for that call.
  return { ...turn, thinking: [], parts: [...turn.parts, ...told], calls: [] };
}

function textPart(text: string): TextPart {
  return { kind: 'text', text, cache: null, at: 'messages' };
}
