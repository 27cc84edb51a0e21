import { z } from 'zod';
import { LONGEST_NAME } from '../core/model-names.ts';
import { parseTokens, TOKENS_FORM } from '../core/units.ts';
import { choice, read, spelling } from '../schema/kit.ts';
import { EFFORTS, INPUTS, THINKING_MODES, THINKING_OFF } from './capabilities.ts';

/** The word for what an entry does not want to take over from the one that it is like. */
const UNKNOWN = 'unknown';

const limit = () =>
  read(`${TOKENS_FORM}, or \`${UNKNOWN}\``, 'tokens', (value) =>
    value === UNKNOWN ? UNKNOWN : parseTokens(String(value)),
  );

const parameters = () => z.array(z.string().min(1).max(64));

/** What is said of a model. */
const saidShape = {
  context: limit().optional(),
  max_output: limit().optional(),
  input: z.array(choice(INPUTS)).optional(),
  refuses: parameters().optional(),
  takes_at_no_effort: parameters().optional(),
  efforts: z.array(choice(EFFORTS)).min(1).optional(),
  default_effort: choice([...EFFORTS, UNKNOWN]).optional(),
  forced_tools: z.boolean().optional(),
  tools_only_at_no_effort: z.boolean().optional(),
  max_completion_tokens: z.boolean().optional(),
  prefill: z.boolean().optional(),
  later_system: z.boolean().optional(),
  json_schema: z.boolean().optional(),
  thinking: choice(THINKING_MODES).optional(),
  thinking_off: choice(THINKING_OFF).optional(),
  thinking_config: choice(['level', 'budget']).optional(),
};

const entrySchema = z.strictObject({
  models: z.array(z.string().min(1).max(LONGEST_NAME)).min(1),
  providers: z.array(z.string().min(1)).min(1).optional(),
  like: z.string().min(1).optional(),
  ...saidShape,
});

/** A file of capabilities, as docs/capabilities.md tells it. */
export const capabilitiesSchema = z.strictObject({
  extends: choice(['built-in']).optional(),
  spellings: z.array(spelling()).optional(),
  models: z.array(entrySchema),
});

export type CapabilitiesFile = z.output<typeof capabilitiesSchema>;
export type CapabilityEntryFile = CapabilitiesFile['models'][number];
/** An entry without its names. */
export type SaidOfModel = Pick<CapabilityEntryFile, keyof typeof saidShape>;
