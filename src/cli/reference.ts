import { readFileSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { configSchema } from '../config/schema.ts';
import { type Unwrapped, unwrap } from '../schema/walk.ts';

/**
 * Writes the table of keys in docs/configuration.md from the schemas: `node src/cli/reference.ts`. A test fails while the two differ.
 */
const DOCUMENT = new URL('../../docs/configuration.md', import.meta.url);
const BEGIN = '<!-- keys: begin (written by src/cli/reference.ts, from the schemas) -->';
const END = '<!-- keys: end -->';

/** The document with its table brought up to date. */
export function withReference(document: string): string {
  const [begin, end] = [document.indexOf(BEGIN), document.indexOf(END)];
  if (begin === -1 || end < begin)
    throw new Error(`docs/configuration.md lacks the lines "${BEGIN}" and "${END}"`);
  return `${document.slice(0, begin + BEGIN.length)}\n\n${table()}\n${document.slice(end)}`;
}

function table(): string {
  const rows = Object.entries(configSchema.shape).flatMap(([key, schema]) =>
    rowsOf(schema as z.ZodType, key),
  );
  return ['| key | type | default | meaning |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

/** The line of one key, and those of the keys below it. */
function rowsOf(schema: z.ZodType, path: string): string[] {
  const told = unwrap(schema);
  const row = `| \`${path}\` | ${cell(typeOf(told, path))} | ${cell(defaultOf(told))} | ${cell(told.description ?? '')} |`;
  return [row, ...below(told, path)];
}

function below({ inner, facets }: Unwrapped, path: string): string[] {
  // The same section is told once, under `defaults`.
  if (facets.whole !== undefined && !path.startsWith('defaults.')) return [];
  const object = facets.whole ?? inner;
  if (object instanceof z.ZodObject) {
    return Object.entries(object.shape).flatMap(([key, schema]) =>
      rowsOf(schema as z.ZodType, `${path}.${key}`),
    );
  }
  if (inner instanceof z.ZodArray) {
    // The targets of a node are nodes, whose keys are being told already.
    return path.endsWith('.targets') ? [] : below(unwrap(inner.element as z.ZodType), `${path}[]`);
  }
  if (!(inner instanceof z.ZodRecord)) return [];
  const name = path === 'virtual_keys' ? null : `${path}.NAME`;
  return name === null ? [] : below(unwrap(inner.valueType as z.ZodType), name);
}

function typeOf({ inner, facets }: Unwrapped, path: string): string {
  if (facets.whole !== undefined && !path.startsWith('defaults.'))
    return `as \`defaults.${path.split('.').at(-1)}\``;
  if (inner instanceof z.ZodArray) return `list of ${typeOf(unwrap(inner.element as z.ZodType), path)}`;
  if (inner instanceof z.ZodRecord) {
    const values = unwrap(inner.valueType as z.ZodType);
    return values.inner instanceof z.ZodUnknown ? 'map' : `map of ${typeOf(values, path)}`;
  }
  if (inner instanceof z.ZodNumber) return `${facets.form ?? 'number'}${boundsOf(inner)}`;
  if (facets.form !== undefined) return facets.form;
  if (inner instanceof z.ZodObject) return 'map';
  if (inner instanceof z.ZodBoolean) return '`true`, `false`';
  if (inner instanceof z.ZodLiteral) return `\`${String(inner.value)}\``;
  return inner instanceof z.ZodString ? 'text' : 'any';
}

/** Higher bounds are there to catch slips of the pen, and not worth a word. */
const HIGHEST_TOLD = 100_000;

function boundsOf({ minValue, maxValue }: z.ZodNumber): string {
  const least = minValue !== null && minValue > Number.MIN_SAFE_INTEGER ? minValue : null;
  const most = maxValue !== null && maxValue <= HIGHEST_TOLD ? maxValue : null;
  if (least === null) return most === null ? '' : `, up to ${most}`;
  return most === null ? `, from ${least}` : `, ${least} to ${most}`;
}

function defaultOf({ fallback, inner }: Unwrapped): string {
  if (fallback === undefined || inner instanceof z.ZodObject) return '';
  if (fallback === '') return 'empty';
  return `\`${typeof fallback === 'string' ? fallback : JSON.stringify(fallback)}\``;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

if (import.meta.main) writeFileSync(DOCUMENT, withReference(readFileSync(DOCUMENT, 'utf8')));
