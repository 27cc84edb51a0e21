import type { ModelCapabilities } from '../../capabilities/capabilities.ts';
import type { Conversation, Tool, ToolChoice, Turn } from '../../chat/conversation.ts';
import type { JsonObject } from '../../core/json.ts';
import type { Drops } from '../adapter.ts';
import type { Marks } from './marks.ts';
import { closedSchema } from './output-schema.ts';

export interface ToolPlan {
  tools: JsonObject[];
  choice: JsonObject | null;
  /** The model must call a tool. */
  forces: boolean;
}

/** The tools of a request, and which of them may or must be called. */
export function planTools(
  conversation: Conversation,
  turns: readonly Turn[],
  { capabilities, marks, drops }: { capabilities: ModelCapabilities; marks: Marks; drops: Drops },
): ToolPlan {
  const { tools, parallelToolCalls } = conversation;
  if (tools.length === 0) return forHistory(turns);
  let { toolChoice: choice } = conversation;
  let offered = tools;
  if (!capabilities.forcedTools && choice !== null && isForced(choice)) {
    const { name } = choice.kind === 'named' ? choice : { name: null };
    drops.drop('tool_choice', 'A tool choice that forces a call is not supported.');
    const named = tools.filter((tool) => tool.name === name);
    if (named.length > 0) offered = named;
    choice = { kind: 'auto' };
  }
  let onlyOne = parallelToolCalls === false && choice?.kind !== 'none';
  if (onlyOne && capabilities.refuses.has('parallel_tool_calls')) {
    drops.drop('parallel_tool_calls');
    onlyOne = false;
  }
  const said = choiceOf(choice ?? (onlyOne ? { kind: 'auto' } : null));
  return {
    tools: offered.map((tool) => toolBlock(tool, marks, drops)),
    choice: said !== null && onlyOne ? { ...said, disable_parallel_tool_use: true } : said,
    forces: choice !== null && isForced(choice),
  };
}

function isForced(choice: ToolChoice): boolean {
  return choice.kind === 'required' || choice.kind === 'named';
}

function choiceOf(choice: ToolChoice | null): JsonObject | null {
  switch (choice?.kind) {
    case 'auto':
      return { type: 'auto' };
    case 'none':
      return { type: 'none' };
    case 'required':
      return { type: 'any' };
    case 'named':
      return { type: 'tool', name: choice.name };
    case undefined:
      return null;
  }
}

function toolBlock(tool: Tool, marks: Marks, drops: Drops): JsonObject {
  const { name, description, parameters, strict, cache, at } = tool;
  const block: JsonObject = { name };
  if (description !== null) block['description'] = description;
  const closed = strict === true ? closedSchema(parameters ?? NO_PARAMETERS) : null;
  block['input_schema'] = closed?.schema ?? inputSchema(parameters);
  if (closed?.schema) block['strict'] = true;
  else if (closed !== null) {
    drops.drop(`${at}.function.strict`, `These parameters cannot be held to strictly: ${closed.why}.`);
  }
  marks.put(block, cache);
  return block;
}

const NO_PARAMETERS: JsonObject = { type: 'object', properties: {}, additionalProperties: false };

/** An object's, as Anthropic wants it. */
function inputSchema(parameters: JsonObject | null): JsonObject {
  if (parameters === null) return { type: 'object', properties: {} };
  return parameters['type'] === 'object' ? parameters : { ...parameters, type: 'object' };
}

/** Calls of tools in a conversation are a 400 without tools: those that were called are named, and not to be called. */
function forHistory(turns: readonly Turn[]): ToolPlan {
  const names = new Set<string>();
  for (const turn of turns) {
    if (turn.role === 'assistant') for (const { name } of turn.calls) names.add(name);
  }
  if (names.size === 0) return { tools: [], choice: null, forces: false };
  const tools = [...names].map((name) => ({ name, input_schema: inputSchema(null) }));
  return { tools, choice: { type: 'none' }, forces: false };
}
