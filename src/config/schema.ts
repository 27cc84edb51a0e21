import { z } from 'zod';
import { authSchema, tenantsSchema } from '../auth/schema.ts';
import { providersSchema } from '../providers/schema.ts';
import { quotaDefaultsSchema } from '../quota/schema.ts';
import { idempotencySchema } from '../replay/schema.ts';
import { defaultsSchema, modelsSchema } from '../routing/schema.ts';
import { adminSchema, listenSchema, logSchema, serverSchema } from '../server/schema.ts';
import { stateSchema } from '../state/schema.ts';

/** The only version of the file format that there is. */
export const VERSION = 1;

/** A configuration as it is written. Each part brings its own section. */
export const configSchema = z.strictObject({
  version: z.literal(VERSION).optional().describe('of the file format; required'),
  listen: listenSchema,
  admin: adminSchema.describe('the second listener, for operators'),
  server: serverSchema.describe('the client listener'),
  state: stateSchema.describe('where counts are kept that several gateways share'),
  providers: providersSchema.describe('who answers: a host and how to log in there'),
  virtual_keys: providersSchema.describe('another name for `providers`; both may be used'),
  defaults: defaultsSchema.describe(
    'what a node of a tree has unless it, or a node above it, says otherwise',
  ),
  models: modelsSchema.describe('the names that clients send in `model`, and the tree that each stands for'),
  aliases: z
    .record(z.string(), z.string())
    .prefault({})
    .describe('further names for models: `{ cheap: balanced }`'),
  direct_models: z
    .boolean()
    .prefault(false)
    .describe('true: `openai/gpt-6-sol` reaches that provider without an entry under `models`'),
  prices: z
    .string()
    .optional()
    .describe(
      'a file of prices, see [prices.md](prices.md); left out = `prices.yaml` beside this file, if it is there; empty = none',
    ),
  capabilities: z
    .string()
    .optional()
    .describe(
      'a file that says what models refuse and hold, see [capabilities.md](capabilities.md); left out = `models.yaml` beside this file, else the one that comes with the package; empty = none',
    ),
  auth: authSchema,
  tenants: tenantsSchema,
  quota_defaults: quotaDefaultsSchema.describe('what quotas assume, how long things are kept'),
  idempotency: idempotencySchema.describe('what is kept for requests that are sent again'),
  log: logSchema.describe('what is logged'),
});

export type ConfigFile = z.output<typeof configSchema>;
