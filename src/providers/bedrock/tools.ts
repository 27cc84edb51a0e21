import type { Conversation, Tool, ToolChoice } from '../../chat/conversation.ts';
import { isJsonObject, type JsonObject } from '../../core/json.ts';
import { type Closed, closedSchema } from '../anthropic/output-schema.ts';
import type { Blocks } from './content.ts';
import { type Target, takes, takesSchemas } from './target.ts';

/** How tools are offered. */
export interface ToolPlan {
  /** Null: none are, and then there must be no calls and results in the messages either. */
  toolConfig: JsonObject | null;
  /** What goes to the model in its maker's words. */
  fields: JsonObject;
  /** The model must call one. */
  forced: boolean;
}

export function planTools(conversation: Conversation, target: Target, blocks: Blocks): ToolPlan {
  const { parallelToolCalls } = conversation;
  const choice = conversation.toolChoice ?? { kind: 'auto' };
  if (conversation.tools.length === 0 || choice.kind === 'none') {
    return { toolConfig: null, fields: {}, forced: false };
  }
  const { tools, choice: chosen } = choose(conversation.tools, choice, target);
  const toolConfig: JsonObject = { tools: tools.flatMap((tool) => toolBlocks(tool, target, blocks)) };
  const forced = chosen.kind !== 'auto';
  if (parallelToolCalls === false) {
    if (target.family === 'claude' && takes(target, 'parallel_tool_calls')) {
      // Converse has no word for it. The two ways to choose exclude each other, so all of the choice goes this way.
      return {
        toolConfig,
        fields: { tool_choice: { ...anthropicChoice(chosen), disable_parallel_tool_use: true } },
        forced,
      };
    }
    target.drops.drop('parallel_tool_calls');
  }
  if (conversation.toolChoice !== null) toolConfig['toolChoice'] = converseChoice(chosen);
  return { toolConfig, fields: {}, forced };
}

type Choice = Exclude<ToolChoice, { kind: 'none' }>;

/** What of the choice this model can be told. A tool that cannot be forced by name is the only one that it is offered. */
function choose(
  tools: readonly Tool[],
  choice: Choice,
  { family, capabilities, drops }: Target,
): { tools: readonly Tool[]; choice: Choice } {
  if (choice.kind === 'auto') return { tools, choice };
  const named = choice.kind === 'named' ? tools.filter(({ name }) => name === choice.name) : tools;
  const offered = named.length === 0 ? tools : named;
  if (!capabilities.forcedTools || family === 'llama') {
    drops.drop('tool_choice', 'This model cannot be made to call a tool.');
    return { tools: offered, choice: { kind: 'auto' } };
  }
  // Mistral's models can be made to call a tool, but not which.
  if (choice.kind === 'named' && family === 'mistral')
    return { tools: offered, choice: { kind: 'required' } };
  return { tools, choice };
}

function converseChoice(choice: Choice): JsonObject {
  switch (choice.kind) {
    case 'auto':
      return { auto: {} };
    case 'required':
      return { any: {} };
    case 'named':
      return { tool: { name: choice.name } };
  }
}

function anthropicChoice(choice: Choice): JsonObject {
  switch (choice.kind) {
    case 'auto':
      return { type: 'auto' };
    case 'required':
      return { type: 'any' };
    case 'named':
      return { type: 'tool', name: choice.name };
  }
}

function toolBlocks(
  { name, description, parameters, strict, cache, at }: Tool,
  target: Target,
  blocks: Blocks,
): JsonObject[] {
  const schema = inputSchema(parameters);
  const { schema: held, why } = strict === true ? heldTo(schema, target) : { schema: null, why: null };
  if (why !== null) {
    target.drops.drop(`${at}.function.strict`, `These parameters cannot be held to strictly: ${why}.`);
  }
  const toolSpec: JsonObject = {
    name,
    ...(description === null || description.trim() === '' ? {} : { description }),
    inputSchema: { json: held ?? schema },
    ...(held === null ? {} : { strict: true }),
  };
  // Nova keeps what is in messages and system, and refuses a marker among tools.
  const mark = target.family === 'nova' ? null : cache;
  if (cache !== null && mark === null) target.drops.drop('cache_control');
  return [{ toolSpec }, ...blocks.cachePoint(mark)];
}

/** The top of a schema must be an object's. */
function inputSchema(parameters: JsonObject | null): JsonObject {
  if (parameters === null) return { type: 'object', properties: {} };
  return parameters['type'] === undefined ? { type: 'object', ...parameters } : parameters;
}

/** The schema as a strict tool has it. */
function heldTo(schema: JsonObject, target: Target): Closed {
  if (!takesSchemas(target)) return { schema: null, why: 'this model takes no strict tools' };
  if (target.family !== 'claude') return { schema, why: null };
  // Without parameters there is nothing to leave open.
  const isClosed = parametersOf(schema) === 0 && schema['additionalProperties'] === undefined;
  return closedSchema(isClosed ? { ...schema, additionalProperties: false } : schema);
}

function parametersOf({ properties }: JsonObject): number {
  return isJsonObject(properties) ? Object.keys(properties).length : 0;
}
