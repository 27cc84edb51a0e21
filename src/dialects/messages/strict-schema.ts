import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';

/** Schemas are no deeper; whatever is, is not held to be strict. */
const DEEPEST = 32;

/** OpenAI's strict mode answers 400 to schemas with these. */
const REFUSED = ['allOf', 'oneOf', 'not', 'if', 'then', 'else', 'dependentSchemas', 'patternProperties'];

/**
 * Does OpenAI's strict mode take the schema? It wants every property required and none besides them, where Anthropic's allows optional ones; a
 * schema that does not fit is refused, so it is better asked for without.
 */
export function fitsStrict(schema: JsonObject): boolean {
  return isStrictType(schema, 'object') && fits(schema, 0);
}

function fits(schema: Json | undefined, depth: number): boolean {
  if (!isJsonObject(schema) || depth > DEEPEST) return false;
  if (REFUSED.some((word) => Object.hasOwn(schema, word))) return false;
  if ((isStrictType(schema, 'object') || schema['properties'] !== undefined) && !isClosed(schema))
    return false;
  return (
    allFit(schema['properties'], depth) &&
    allFit(schema['$defs'], depth) &&
    allFit(schema['definitions'], depth) &&
    (schema['items'] === undefined || fits(schema['items'], depth + 1)) &&
    (schema['anyOf'] === undefined || listFits(schema['anyOf'], depth))
  );
}

function isStrictType({ type }: JsonObject, wanted: string): boolean {
  return type === wanted || (Array.isArray(type) && type.includes(wanted));
}

/** An object that has all its properties, and no others. */
function isClosed(schema: JsonObject): boolean {
  const { properties, required } = schema;
  if (schema['additionalProperties'] !== false) return false;
  const names = isJsonObject(properties) ? Object.keys(properties) : [];
  const listed = new Set(Array.isArray(required) ? required : []);
  return names.every((name) => listed.has(name));
}

function allFit(schemas: Json | undefined, depth: number): boolean {
  if (schemas === undefined) return true;
  return isJsonObject(schemas) && Object.values(schemas).every((schema) => fits(schema, depth + 1));
}

function listFits(schemas: Json, depth: number): boolean {
  return Array.isArray(schemas) && schemas.every((schema) => fits(schema, depth + 1));
}
