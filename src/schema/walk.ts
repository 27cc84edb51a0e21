import { z } from 'zod';
import { type Facets, facetsOf } from './kit.ts';

/** A schema without what wraps it (optional, default), and what was said on any of the layers; the outermost word wins. */
export interface Unwrapped {
  inner: z.ZodType;
  facets: Facets;
  description: string | null;
  /** As the file would write it; undefined if there is none. */
  fallback: unknown;
  optional: boolean;
}

export function unwrap(schema: z.ZodType): Unwrapped {
  const found: Unwrapped = {
    inner: schema,
    facets: {},
    description: null,
    fallback: undefined,
    optional: false,
  };
  for (let layer = schema; ; ) {
    found.inner = layer;
    found.facets = { ...facetsOf(layer), ...found.facets };
    found.description ??= layer.description ?? null;
    if (layer instanceof z.ZodOptional) {
      found.optional = true;
      layer = layer.unwrap() as z.ZodType;
    } else if (layer instanceof z.ZodPrefault || layer instanceof z.ZodDefault) {
      found.fallback ??= layer.def.defaultValue;
      layer = layer.unwrap() as z.ZodType;
    } else if (layer instanceof z.ZodLazy) {
      layer = layer.unwrap() as z.ZodType;
    } else return found;
  }
}

/** The schema that governs a path, or null where there is none (an unknown key, something below a leaf). */
export function schemaAt(root: z.ZodType, path: readonly PropertyKey[]): z.ZodType | null {
  let schema: z.ZodType = root;
  for (const step of path) {
    const { inner } = unwrap(schema);
    let next: unknown;
    if (inner instanceof z.ZodObject) next = inner.shape[String(step)];
    else if (inner instanceof z.ZodArray) next = inner.element;
    else if (inner instanceof z.ZodRecord) next = inner.valueType;
    if (!(next instanceof z.ZodType)) return null;
    schema = next;
  }
  return schema;
}

/** Is anything from the root to there marked secret? */
export function isSecret(root: z.ZodType, path: readonly PropertyKey[]): boolean {
  for (let length = 0; length <= path.length; length++) {
    const schema = schemaAt(root, path.slice(0, length));
    if (schema === null) return false;
    if (unwrap(schema).facets.secret) return true;
  }
  return false;
}

/** The keys that may stand in the object at that path. */
export function knownKeys(root: z.ZodType, path: readonly PropertyKey[]): string[] {
  const schema = schemaAt(root, path);
  if (schema === null) return [];
  const { inner } = unwrap(schema);
  return inner instanceof z.ZodObject ? Object.keys(inner.shape) : [];
}
