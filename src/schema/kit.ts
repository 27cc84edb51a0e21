import { z } from 'zod';
import { isSpelling } from '../core/model-names.ts';
import {
  DURATION_FORM,
  parseDuration,
  parseSize,
  parseTokens,
  SIZE_FORM,
  TOKENS_FORM,
} from '../core/units.ts';

/**
 * The words that the parts' schemas are written in, beside zod's own. Every key is optional or has a `prefault`, a
 * default as the file would write it; `describe` says what the key means, and becomes its line in the documentation.
 */

/** What the loader and the documentation know of a schema beyond zod's own checks. */
export interface Facets {
  /** How a value is written: the type in the documentation, and what a problem says was expected. */
  form?: string;
  /** Its value is never shown. */
  secret?: true;
  /** The whole of a section whose keys are all optional here, because they are inherited. */
  whole?: z.ZodObject;
}

const known = new WeakMap<z.core.$ZodType, Facets>();

/** Says something of a schema, and gives it back. Copies that zod makes of it (`describe`) keep what was said. */
export function mark<S extends z.core.$ZodType>(schema: S, facets: Facets): S {
  known.set(schema, { ...facetsOf(schema), ...facets });
  return schema;
}

export function facetsOf(schema: z.core.$ZodType): Facets {
  const { parent } = schema._zod;
  return { ...(parent === undefined ? {} : facetsOf(parent)), ...known.get(schema) };
}

/** One of some words. */
export function choice<const W extends readonly string[]>(words: W) {
  const form = words.map((word) => `\`${word}\``).join(', ');
  return mark(z.enum(words), { form });
}

/** Text that is never shown, neither in a problem nor anywhere else. */
export function secret() {
  return mark(z.string(), { form: 'text', secret: true });
}

/** Milliseconds, written `250ms`, `5s`, `10m` or `24h`. */
export function duration() {
  return read(`${DURATION_FORM}, more than 0`, 'duration', (value) => {
    const ms = typeof value === 'string' ? parseDuration(value) : null;
    return ms === 0 ? null : ms;
  });
}

/** Like `duration`, and 0 has a meaning too. */
export function durationOrZero() {
  return read(`${DURATION_FORM}, or 0`, 'duration', (value) => {
    if (value === 0) return 0;
    return typeof value === 'string' ? parseDuration(value) : null;
  });
}

/** Bytes, written `64kb` or `32mb`. At least one. */
export function size() {
  return read(SIZE_FORM, 'size', (value) => {
    const bytes = typeof value === 'string' ? parseSize(value) : null;
    return bytes === 0 ? null : bytes;
  });
}

/** Like `size`, and no more than so many bytes. */
export function sizeUpTo(most: number) {
  return read(`${SIZE_FORM}, at most ${most / 1024 ** 2}mb`, 'size', (value) => {
    const bytes = typeof value === 'string' ? parseSize(value) : null;
    return bytes === 0 || (bytes ?? 0) > most ? null : bytes;
  });
}

/** A number of tokens, written `272k`, `1m` or `204800`. At least one. */
export function tokens() {
  return read(TOKENS_FORM, 'tokens', (value) => parseTokens(String(value)));
}

/** A whole number from `min` to `max`. */
export function count(min: number, max = 1_000_000_000) {
  return mark(z.int().min(min).max(max), { form: 'whole number' });
}

/** How hosts decorate the names of models, in a table of them. */
export function spelling() {
  return read('a text with {} once, where the name stands, such as "*/{}"', 'text', (value) =>
    typeof value === 'string' && isSpelling(value) ? value : null,
  );
}

/** A value with a form of its own. `parse` gives null for what does not have it; `expected` finishes "expected …". */
export function read<T>(expected: string, form: string, parse: (value: unknown) => T | null) {
  const schema = z.unknown().transform((value, context): T => {
    const parsed = parse(value);
    if (parsed !== null) return parsed;
    context.addIssue({ code: 'custom', message: `expected ${expected}` });
    return z.NEVER;
  });
  return mark(schema, { form });
}

export type DeepPartial<T> = T extends readonly unknown[]
  ? T
  : T extends object
    ? { [K in keyof T]?: DeepPartial<T[K]> | undefined }
    : T;

/** A section with nothing required and no defaults, level by level: what a node says of settings that it inherits. */
export function partialOf<S extends z.ZodObject>(section: S): z.ZodType<DeepPartial<z.output<S>>> {
  const shape: Record<string, z.ZodType> = {};
  for (const [key, field] of Object.entries(section.shape)) {
    const bare = withoutDefault(field as z.ZodType);
    shape[key] = (bare instanceof z.ZodObject ? partialOf(bare) : bare).optional();
  }
  const partial = mark(z.strictObject(shape), { whole: section });
  return partial as unknown as z.ZodType<DeepPartial<z.output<S>>>;
}

function withoutDefault(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodPrefault || schema instanceof z.ZodDefault) {
    return withoutDefault(schema.unwrap() as z.ZodType);
  }
  return schema;
}
