import type { Conversation, Tool, ToolChoice } from '../../chat/conversation.ts';
import { Unsupported } from '../../chat/unsupported.ts';
import { isJsonObject, type JsonObject } from '../../core/json.ts';
import type { Limits } from './limits.ts';

/** The SDK's documentation of `FunctionDeclaration.name`. */
const FUNCTION_NAME = /^[A-Za-z_][A-Za-z0-9_.:-]{0,127}$/;

/** `tools` and `toolConfig`. */
export function toolMembers(conversation: Conversation, limits: Limits): JsonObject {
  const { tools, toolChoice, parallelToolCalls } = conversation;
  if (tools.length === 0) {
    if (toolChoice?.kind === 'required' || toolChoice?.kind === 'named') {
      throw new Unsupported('tool_choice', 'It asks for a call of a tool, and there are no tools.');
    }
    return {};
  }
  if (parallelToolCalls === false) limits.drops.drop('parallel_tool_calls');
  const calling = callingConfig(tools, toolChoice, limits);
  return {
    tools: [{ functionDeclarations: tools.map(declarationOf) }],
    ...(calling === null ? {} : { toolConfig: { functionCallingConfig: calling } }),
  };
}

function declarationOf({ name, description, parameters, at }: Tool): JsonObject {
  if (!FUNCTION_NAME.test(name)) {
    throw new Unsupported(
      `${at}.function.name`,
      'The name of a function must begin with a letter or an underscore and hold at most 128 letters, digits, underscores, dots, colons and dashes.',
    );
  }
  return {
    name,
    ...(description === null ? {} : { description }),
    // What takes nothing is declared without a schema: one without properties was refused for long.
    ...(parameters === null || takesNothing(parameters) ? {} : { parametersJsonSchema: parameters }),
  };
}

function takesNothing({ type, properties, ...rest }: JsonObject): boolean {
  const none = properties === undefined || (isJsonObject(properties) && Object.keys(properties).length === 0);
  const silent = ['additionalProperties', 'required', '$schema', 'title', 'description', 'strict'];
  return (
    (type === undefined || type === 'object') &&
    none &&
    rest['additionalProperties'] !== true &&
    !isJsonObject(rest['additionalProperties']) &&
    Object.keys(rest).every((name) => silent.includes(name))
  );
}

function callingConfig(tools: readonly Tool[], choice: ToolChoice | null, limits: Limits): JsonObject | null {
  // Arguments that must fit their schema are what this mode is for.
  const free = tools.some(({ strict }) => strict === true) ? 'VALIDATED' : 'AUTO';
  switch (choice?.kind) {
    case undefined:
      return free === 'VALIDATED' ? { mode: free } : null;
    case 'auto':
      return { mode: free };
    case 'none':
      return { mode: 'NONE' };
    case 'required':
      return mayForce(limits) ? { mode: 'ANY' } : { mode: free };
    case 'named': {
      const { name } = choice as { name: string };
      if (!tools.some((tool) => tool.name === name)) {
        throw new Unsupported('tool_choice', 'It names a function that is not among the tools.');
      }
      return { mode: mayForce(limits) ? 'ANY' : 'VALIDATED', allowedFunctionNames: [name] };
    }
  }
}

function mayForce({ capabilities, drops }: Limits): boolean {
  if (!capabilities.forcedTools) {
    drops.drop('tool_choice', 'This model cannot be made to call a tool.');
  }
  return capabilities.forcedTools;
}
