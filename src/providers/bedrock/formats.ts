import type { ResponseFormat } from '../../chat/conversation.ts';
import type { JsonObject } from '../../core/json.ts';
import { Unsupported } from '../adapter.ts';
import { closedSchema } from '../anthropic/output-schema.ts';
import { type Target, takesSchemas } from './target.ts';

/** How an answer gets its form. */
export interface FormatPlan {
  /** Of Claude's `output_config`, in `additionalModelRequestFields`. */
  format: JsonObject | null;
  /** Of `outputConfig`, in the request itself. */
  textFormat: JsonObject | null;
  /** What the system says about it. */
  instruction: string | null;
}

const JSON_ONLY = 'Answer with one JSON object and nothing else: no other text, no Markdown fences.';

const NOTHING: FormatPlan = { format: null, textFormat: null, instruction: null };

export function planFormat(asked: ResponseFormat, target: Target): FormatPlan {
  switch (asked.kind) {
    case 'text':
      return NOTHING;
    case 'json':
      return { ...NOTHING, instruction: JSON_ONLY };
    case 'schema':
      return planSchema(asked, target);
  }
}

/** What the model cannot be held to is asked for, unless the client insists on it. */
function planSchema(
  { name, schema, strict }: Extract<ResponseFormat, { kind: 'schema' }>,
  target: Target,
): FormatPlan {
  let why = 'Answers by a JSON schema are not supported.';
  if (takesSchemas(target)) {
    if (target.family !== 'claude') {
      const jsonSchema = { schema: JSON.stringify(schema), name: cleanName(name) };
      return { ...NOTHING, textFormat: { type: 'json_schema', structure: { jsonSchema } } };
    }
    const closed = closedSchema(schema);
    if (closed.why === null) return { ...NOTHING, format: { type: 'json_schema', schema: closed.schema } };
    why = `The answer cannot be held to this JSON schema: ${closed.why}.`;
  }
  if (strict === true) throw new Unsupported('response_format', why);
  target.drops.drop('response_format', why);
  return { ...NOTHING, instruction: `${JSON_ONLY} It must fit this JSON schema:\n${JSON.stringify(schema)}` };
}

function cleanName(name: string): string {
  return name.replace(/[^A-Za-z0-9_-]/g, '_').slice(0, 64);
}
