import type { AssistantTurn, Conversation, TextPart, Turn, UserTurn } from '../../chat/conversation.ts';

/** Said by the user where Anthropic wants a message of theirs and there is none. A text must not be blank. */
const SOMETHING = '.';

/**
 * Where system messages go. Those at the beginning are the prompt. Later ones stay, if the model takes them there, which it does right after a
 * user's turn; else they join the prompt. One that ends the conversation after an answer is what the model is to answer, so the user says it;
 * so it is with a prompt that nothing follows. The first turn is a user's.
 */
export function placeSystem(
  { system, turns }: Pick<Conversation, 'system' | 'turns'>,
  laterSystem: boolean,
): Pick<Conversation, 'system' | 'turns'> {
  const prompt = [...system];
  const placed: Turn[] = [];
  /** Come after an answer: said again after the user's next turn. */
  let waiting: TextPart[] = [];
  for (const [index, turn] of turns.entries()) {
    if (turn.role === 'system') {
      const isAfterAnswer = placed.at(-1)?.role === 'assistant';
      if (isAfterAnswer && index === turns.length - 1) placed.push(saidByUser(turn.parts));
      else if (!laterSystem) prompt.push(...turn.parts);
      else if (isAfterAnswer) waiting.push(...turn.parts);
      else placed.push(turn);
      continue;
    }
    if (turn.role === 'assistant') prompt.push(...waiting.splice(0));
    add(placed, turn);
    if (waiting.length > 0) placed.push({ role: 'system', parts: waiting });
    waiting = [];
  }
  if (placed.length === 0 && prompt.length > 0) return { system: [], turns: [saidByUser(prompt)] };
  if (placed[0]?.role === 'assistant') {
    placed.unshift(saidByUser([{ kind: 'text', text: SOMETHING, cache: null, at: 'messages' }]));
  }
  return { system: prompt, turns: placed };
}

function saidByUser(parts: TextPart[]): UserTurn {
  return { role: 'user', results: [], parts };
}

/** Turns of one role that have come to stand beside each other become one. */
function add(turns: Turn[], turn: UserTurn | AssistantTurn): void {
  const before = turns.at(-1);
  if (before?.role === 'user' && turn.role === 'user') {
    turns[turns.length - 1] = {
      role: 'user',
      results: [...before.results, ...turn.results],
      parts: [...before.parts, ...turn.parts],
    };
  } else if (before?.role === 'assistant' && turn.role === 'assistant') {
    turns[turns.length - 1] = {
      ...turn,
      thinking: [...before.thinking, ...turn.thinking],
      parts: [...before.parts, ...turn.parts],
      calls: [...before.calls, ...turn.calls],
    };
  } else turns.push(turn);
}
