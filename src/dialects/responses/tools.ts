import { Unsupported } from '../../chat/unsupported.ts';
import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import { cacheMarks, named } from './parts.ts';

/** Functions, in the nested shape of chat completions. What the provider itself would run exists nowhere else. */
export function toolsOf(tools: Json | undefined): JsonObject[] {
  if (tools === undefined || tools === null) return [];
  if (!Array.isArray(tools)) throw new Unsupported('tools', "Invalid 'tools': expected a list.");
  return tools.map((tool, index) => {
    const at = `tools[${index}]`;
    if (!isJsonObject(tool)) throw new Unsupported(at, `Invalid '${at}': expected an object.`);
    const { type, name, description, parameters, strict } = tool;
    if (type !== 'function') {
      throw new Unsupported(at, `Only tools of type 'function' are supported; this one is ${named(type)}.`);
    }
    if (typeof name !== 'string' || name === '')
      throw new Unsupported(`${at}.name`, 'A function needs a name.');
    const definition: JsonObject = { name };
    if (typeof description === 'string') definition['description'] = description;
    if (isJsonObject(parameters)) definition['parameters'] = parameters;
    if (typeof strict === 'boolean') definition['strict'] = strict;
    return { type, function: definition, ...cacheMarks(tool) };
  });
}

export function toolChoiceOf(choice: Json | undefined): Json | undefined {
  if (choice === undefined || choice === null) return undefined;
  if (choice === 'none' || choice === 'auto' || choice === 'required') return choice;
  if (isJsonObject(choice)) {
    const { type, name, mode, tools } = choice;
    if (type === 'function' && typeof name === 'string') return functionNamed(name);
    if (type === 'allowed_tools' && Array.isArray(tools)) {
      const allowed = tools.map((tool, index) => allowedTool(tool, `tool_choice.tools[${index}]`));
      return {
        type,
        allowed_tools: { mode: mode === 'required' ? mode : 'auto', tools: allowed },
      };
    }
  }
  throw new Unsupported(
    'tool_choice',
    "Only 'none', 'auto', 'required', a function and allowed_tools are supported.",
  );
}

function allowedTool(tool: Json, at: string): JsonObject {
  if (isJsonObject(tool) && tool['type'] === 'function' && typeof tool['name'] === 'string') {
    return functionNamed(tool['name']);
  }
  throw new Unsupported(at, 'Only functions, by name, are supported.');
}

function functionNamed(name: string): JsonObject {
  return { type: 'function', function: { name } };
}
