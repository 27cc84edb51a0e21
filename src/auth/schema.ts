import { z } from 'zod';
import { quotasSchema } from '../quota/schema.ts';
import { choice, secret } from '../schema/kit.ts';

/** What tenants, keys and providers may be called: the names appear in metrics and in keys of a store. */
export const ID_FORM = /^[a-z0-9_-]{1,64}$/;

export const authSchema = choice(['keys', 'none'])
  .prefault('keys')
  .describe(
    '`none`: no key is asked for, and everyone is the tenant `anonymous`, which may be listed under `tenants`',
  );

export const tenantSchema = z.strictObject({
  id: z.string().describe('1 to 64 of `a-z 0-9 _ -`'),
  tier: z.string().optional().describe('free text, for conditions'),
  models: z.array(z.string()).optional().describe('names it may ask for; left out = all'),
  keys: z
    .array(
      z.strictObject({
        id: z.string().describe('1 to 64 of `a-z 0-9 _ -`'),
        sha256: secret()
          .optional()
          .describe("the key's SHA-256, 64 hex digits; `npx spillway key` prints a new key and this line"),
        key: secret()
          .optional()
          .describe('in place of `sha256`: the key itself, hashed when the file is loaded'),
        quotas: quotasSchema(),
      }),
    )
    .prefault([])
    .describe('the keys of its clients'),
  quotas: quotasSchema(),
});

export const tenantsSchema = z.array(tenantSchema).prefault([]).describe('who may call');

export type TenantFile = z.output<typeof tenantSchema>;
