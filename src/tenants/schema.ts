import { z } from 'zod';
import { ID_FORM } from '../auth/schema.ts';
import { quotaSchema, quotasSchema } from '../quota/schema.ts';
import { durationOrZero, read, secret } from '../schema/kit.ts';

export type Schema<T> = z.ZodType<T>;

/** What operators send. What it says is checked in `requests.ts`. */

const id = () =>
  read('1 to 64 of the characters a-z 0-9 _ -', 'text', (value) =>
    typeof value === 'string' && ID_FORM.test(value) ? value : null,
  );
/** Half a character is no text: what reads the store in Redis refuses it. */
const tier = () =>
  z
    .string()
    .refine((text) => text.isWellFormed(), 'expected a text without halves of characters')
    .nullable()
    .optional();
const models = () => z.array(z.string()).nullable().optional();

export const newTenantSchema = z.strictObject({
  id: id(),
  tier: tier(),
  models: models(),
  quotas: quotasSchema(),
  keys: z
    .array(z.strictObject({ id: id(), quotas: quotasSchema(), sha256: secret().optional() }))
    .prefault([]),
});

/** What is left out stays as it is. */
export const tenantPatchSchema = z.strictObject({
  tier: tier(),
  models: models(),
  quotas: z.array(quotaSchema).optional(),
});

/** `quotas` left out: none, or those that the key has if it is rotated. */
export const keySchema = z.strictObject({
  id: id(),
  quotas: z.array(quotaSchema).optional(),
  sha256: secret().optional(),
  grace: durationOrZero().optional(),
});

export const rotationSchema = z.strictObject({
  sha256: secret().optional(),
  grace: durationOrZero().optional(),
});

export const keyPatchSchema = z.strictObject({ quotas: z.array(quotaSchema).optional() });

/** Of a query: everything is text. */
export const listSchema = z.strictObject({
  limit: read('a whole number from 1 to 1000', 'whole number', (value) => {
    const number = typeof value === 'string' && /^\d{1,4}$/.test(value) ? Number(value) : 0;
    return number >= 1 && number <= 1000 ? number : null;
  }).optional(),
  after: z.string().optional(),
});

export type NewTenant = z.output<typeof newTenantSchema>;
export type TenantPatch = z.output<typeof tenantPatchSchema>;
export type Rotation = z.output<typeof rotationSchema>;

/**
 * What is stored. Fields that are not known here are those of a newer gateway beside this one, and are kept.
 */
const version = z.int().min(1);
const time = z.number().min(0);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

export const documentSchema = z.looseObject({
  id: z.string().regex(ID_FORM),
  tier: z.string().nullable(),
  models: z.array(z.string()).nullable(),
  quotas: z.array(quotaSchema),
  keys: z.array(
    z.looseObject({
      id: z.string().regex(ID_FORM),
      sha256,
      quotas: z.array(quotaSchema),
      createdAt: time,
      previous: z.array(z.looseObject({ sha256, until: time })),
    }),
  ),
  createdAt: time,
  updatedAt: time,
  version,
});

export const tombstoneSchema = z.looseObject({
  id: z.string().regex(ID_FORM),
  gone: z.literal(true),
  version,
});
