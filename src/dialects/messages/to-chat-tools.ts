import { Unsupported } from '../../chat/unsupported.ts';
import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import { cacheOf } from './blocks.ts';
import type { Left } from './left.ts';
import { fitsStrict } from './strict-schema.ts';
import { shortName } from './tool-names.ts';

/** `tools`, `tool_choice` and `parallel_tool_calls` of a chat. Without tools there is no choice to be made, and hosts refuse one. */
export function chatTools(request: JsonObject, left: Left): JsonObject {
  const { tools, tool_choice: choice } = request;
  if (tools === undefined || tools === null) return {};
  if (!Array.isArray(tools)) throw new Unsupported('tools', 'The tools must be a list.');
  if (tools.length === 0) return {};
  return {
    tools: tools.map((tool, index) => chatTool(tool, `tools[${index}]`, left)),
    ...chatToolChoice(choice),
  };
}

function chatTool(tool: Json, at: string, left: Left): JsonObject {
  if (!isJsonObject(tool)) throw new Unsupported(at, 'A tool must be an object.');
  const { type, name, description, input_schema: schema, strict } = tool;
  if (type !== undefined && type !== null && type !== 'custom') {
    const which = typeof type === 'string' ? `'${type.slice(0, 60)}'` : 'this type';
    throw new Unsupported(at, `Tools of type ${which} are known to Anthropic only.`);
  }
  if (typeof name !== 'string' || name === '') throw new Unsupported(`${at}.name`, 'A tool needs a name.');
  if (!isJsonObject(schema)) {
    throw new Unsupported(`${at}.input_schema`, 'The schema of a tool must be an object.');
  }
  const isStrict = strict === true && fitsStrict(schema);
  left.unless(strict !== true || isStrict, 'strict');
  left.unless(isEmpty(tool['input_examples']), 'input_examples');
  left.unless(tool['defer_loading'] !== true, 'defer_loading');
  const callers = tool['allowed_callers'];
  left.unless(!Array.isArray(callers) || callers.includes('direct'), 'allowed_callers');
  const definition: JsonObject = {
    name: shortName(name),
    ...(typeof description === 'string' && description !== '' ? { description } : {}),
    parameters: schema,
    ...(isStrict ? { strict: true } : {}),
  };
  return { type: 'function', function: definition, ...cacheOf(tool) };
}

function isEmpty(value: Json | undefined): boolean {
  return !Array.isArray(value) || value.length === 0;
}

function chatToolChoice(choice: Json | undefined): JsonObject {
  if (choice === undefined || choice === null) return {};
  if (!isJsonObject(choice)) throw new Unsupported('tool_choice', 'It must be an object.');
  const parallel = choice['disable_parallel_tool_use'] === true ? { parallel_tool_calls: false } : {};
  switch (choice['type']) {
    case 'auto':
      return { tool_choice: 'auto', ...parallel };
    case 'any':
      return { tool_choice: 'required', ...parallel };
    case 'none':
      return { tool_choice: 'none' };
    case 'tool': {
      const { name } = choice;
      if (typeof name !== 'string' || name === '') {
        throw new Unsupported('tool_choice.name', 'It must name a tool.');
      }
      return { tool_choice: { type: 'function', function: { name: shortName(name) } }, ...parallel };
    }
    default:
      throw new Unsupported('tool_choice.type', "It must be 'auto', 'any', 'tool' or 'none'.");
  }
}
