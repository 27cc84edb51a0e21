import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';

/** Of properties that may be left out, over a whole schema: more is a 400, says Anthropic's page on structured outputs. */
const MOST_OPTIONAL = 24;

/** Of definitions that lead to each other: nobody writes longer ones, and each takes a piece of the stack. */
const LONGEST_CHAIN = 100;

/** Of strings; others are told in words. */
const FORMATS = new Set([
  'date-time',
  'time',
  'date',
  'duration',
  'email',
  'hostname',
  'uri',
  'ipv4',
  'ipv6',
  'uuid',
]);

/** They constrain nothing. */
const SAYS_NOTHING = new Set([
  '$schema',
  '$id',
  '$anchor',
  '$comment',
  'examples',
  'deprecated',
  'readOnly',
  'writeOnly',
]);

/** A schema in Anthropic's words, or why it cannot be said in them. */
export type Closed = { schema: JsonObject; why: null } | { schema: null; why: string };

/** Why a schema cannot be said in Anthropic's words, and where. */
class Inexpressible extends Error {
  constructor(why: string, at: Path) {
    super(`at ${told(at)}, ${why}`);
  }
}

/** Where something stands in a schema: the steps to it, the last one first. */
type Path = { step: string; before: Path } | null;

/** Characters: names of properties are the client's, of any length. */
const LONGEST_PATH = 200;

/** As `$.properties.a.anyOf[1]`; the middle of a long one is left out. */
function told(path: Path): string {
  const steps: string[] = [];
  for (let at = path; at !== null; at = at.before) steps.unshift(at.step);
  const whole = `$${steps.join('')}`;
  const half = LONGEST_PATH / 2;
  return whole.length <= LONGEST_PATH ? whole : `${whole.slice(0, half)}…${whole.slice(-half)}`;
}

function within(before: Path, ...names: readonly (string | number)[]): Path {
  return names.reduce<Path>(
    (path, name) => ({ step: typeof name === 'number' ? `[${name}]` : `.${name}`, before: path }),
    before,
  );
}

/**
 * A schema as Anthropic's models can be held to it: every object closed, `oneOf` as `anyOf`, and what it has no words for (bounds, patterns, further
 * formats) told in the description, so that the model knows. What fits the result fits the original, as far as that says it in structure. What
 * cannot be said: schemas that contain themselves, objects of any members, values of any type, references to elsewhere, more than
 * 24 optional properties.
 */
export function closedSchema(schema: JsonObject): Closed {
  try {
    const closer = new Closer(schema);
    const closed = closer.close(schema, null);
    if (closer.firstTooMany !== null) {
      throw new Inexpressible(`more than ${MOST_OPTIONAL} properties may be left out`, closer.firstTooMany);
    }
    return { schema: closed, why: null };
  } catch (error) {
    if (error instanceof Inexpressible) return { schema: null, why: error.message };
    throw error;
  }
}

const ANYTHING = 'the value may be of any type';

class Closer {
  /** The first property that may be left out and is one too many. */
  firstTooMany: Path = null;
  #optional = 0;

  constructor(root: JsonObject) {
    checkReferences(root);
  }

  close(schema: Json, at: Path): JsonObject {
    // `true` and `{}`: anything at all.
    if (!isJsonObject(schema)) throw new Inexpressible(ANYTHING, at);
    const rest = new Map(Object.entries(schema).filter(([name]) => !SAYS_NOTHING.has(name)));
    const closed: JsonObject = {};
    for (const name of ['$defs', 'definitions']) {
      const definitions = take(rest, name);
      if (isJsonObject(definitions)) closed[name] = this.#closeEach(definitions, within(at, name));
    }
    const reference = take(rest, '$ref');
    // Nothing may stand beside it.
    if (reference !== undefined) return { ...closed, $ref: reference };
    const title = take(rest, 'title');
    if (typeof title === 'string') closed['title'] = title;
    const description = take(rest, 'description');
    this.#closeValue(rest, closed, at);
    const words = [typeof description === 'string' ? description : '', inWords(rest)].filter(
      (text) => text !== '',
    );
    if (words.length > 0) closed['description'] = words.join('\n\n');
    return closed;
  }

  /** Takes out of `rest` what there are words for. */
  #closeValue(rest: Map<string, Json>, closed: JsonObject, at: Path): void {
    const usual = take(rest, 'default');
    if (usual !== undefined && isPrimitive(usual)) closed['default'] = usual;
    if (this.#closeChoice(rest, closed, at)) return;
    const type = typeOf(rest, at);
    rest.delete('type');
    closed['type'] = type;
    const types: readonly Json[] = Array.isArray(type) ? type : [type];
    if (types.includes('object')) this.#closeObject(rest, closed, at);
    if (types.includes('array')) this.#closeArray(rest, closed, at);
    if (types.includes('string') && FORMATS.has(String(rest.get('format')))) {
      closed['format'] = take(rest, 'format') as Json;
    }
  }

  /** Values that are named one by one, and alternatives. */
  #closeChoice(rest: Map<string, Json>, closed: JsonObject, at: Path): boolean {
    const values = rest.get('enum');
    if (Array.isArray(values) && values.length > 0 && values.every(isPrimitive)) {
      closed['enum'] = values;
      rest.delete('enum');
    }
    const value = rest.get('const');
    if (value !== undefined && isPrimitive(value)) {
      closed['const'] = value;
      rest.delete('const');
    }
    if ('enum' in closed || 'const' in closed) {
      const type = take(rest, 'type');
      if (typeof type === 'string') closed['type'] = type;
      return true;
    }
    // With properties of its own it says which go together, which the description then tells.
    if (isJsonObject(rest.get('properties'))) return false;
    const alternatives = ['anyOf', 'oneOf', 'allOf'].filter((name) => rest.has(name));
    const [name] = alternatives;
    if (name === undefined) return false;
    const variants = take(rest, name);
    // Objects that are closed one by one have nothing in common.
    const isOne =
      Array.isArray(variants) && (variants.length === 1 || (variants.length > 1 && name !== 'allOf'));
    if (alternatives.length > 1)
      throw new Inexpressible(`'${alternatives.join("' and '")}' stand together`, at);
    if (!isOne) throw new Inexpressible(`there is no word for this '${name}'`, within(at, name));
    rest.delete('type');
    closed['anyOf'] = variants.map((variant, index) => this.close(variant, within(at, name, index)));
    return true;
  }

  #closeObject(rest: Map<string, Json>, closed: JsonObject, at: Path): void {
    const properties = take(rest, 'properties');
    const further = take(rest, 'additionalProperties');
    const isOpen = isJsonObject(further) || rest.has('patternProperties');
    const isEmpty = !isJsonObject(properties) || Object.keys(properties).length === 0;
    if (isOpen || (isEmpty && further !== false)) {
      throw new Inexpressible('the object may have members that are not named', at);
    }
    const inner = within(at, 'properties');
    closed['properties'] = isJsonObject(properties) ? this.#closeEach(properties, inner) : {};
    closed['additionalProperties'] = false;
    const required = take(rest, 'required');
    const names = Array.isArray(required) ? required.filter((name) => typeof name === 'string') : [];
    if (names.length > 0) closed['required'] = names;
    const isRequired = new Set(names);
    for (const name of Object.keys(closed['properties'] as JsonObject)) {
      if (!isRequired.has(name) && ++this.#optional > MOST_OPTIONAL)
        this.firstTooMany ??= within(inner, name);
    }
  }

  #closeArray(rest: Map<string, Json>, closed: JsonObject, at: Path): void {
    const items = take(rest, 'items');
    closed['items'] = this.close(items ?? true, within(at, 'items'));
    const least = rest.get('minItems');
    if (least === 0 || least === 1) {
      closed['minItems'] = least;
      rest.delete('minItems');
    }
  }

  /** Entry by entry: a name such as `__proto__` must stay a name. */
  #closeEach(schemas: JsonObject, at: Path): JsonObject {
    const closed = Object.entries(schemas).map(([name, schema]) => [
      name,
      this.close(schema, within(at, name)),
    ]);
    return Object.fromEntries(closed) as JsonObject;
  }
}

function take(rest: Map<string, Json>, name: string): Json | undefined {
  const value = rest.get(name);
  rest.delete(name);
  return value;
}

/** Told, or plain from the rest. */
function typeOf(rest: ReadonlyMap<string, Json>, at: Path): Json {
  const type = rest.get('type');
  if (typeof type === 'string' || (Array.isArray(type) && type.length > 0)) return type;
  if (rest.has('properties')) return 'object';
  if (rest.has('items')) return 'array';
  throw new Inexpressible(ANYTHING, at);
}

function isPrimitive(value: Json): boolean {
  return typeof value !== 'object' || value === null;
}

/** What there are no words for, for the model to read. */
function inWords(rest: ReadonlyMap<string, Json>): string {
  return rest.size === 0 ? '' : `It must also fit: ${JSON.stringify(Object.fromEntries(rest))}`;
}

/** Each leads to a definition at the top, and from none of these back to itself. */
function checkReferences(root: JsonObject): void {
  const state = new Map<string, 'open' | 'done'>();
  let chained = 0;
  const follow = (schema: Json, at: Path): void => {
    if (Array.isArray(schema)) {
      for (const [index, one] of schema.entries()) follow(one, within(at, index));
      return;
    }
    if (!isJsonObject(schema)) return;
    for (const [name, value] of Object.entries(schema)) {
      if (name === '$ref' && typeof value === 'string') visit(value, within(at, name));
      else if (name !== '$defs' && name !== 'definitions') follow(value, within(at, name));
    }
  };
  const visit = (reference: string, at: Path): void => {
    const known = state.get(reference);
    if (known === 'open') throw new Inexpressible('the schema contains itself', at);
    if (known === 'done') return;
    if (++chained > LONGEST_CHAIN) {
      throw new Inexpressible(`more than ${LONGEST_CHAIN} references lead to each other`, at);
    }
    state.set(reference, 'open');
    const { definition, path } = definitionOf(root, reference, at);
    follow(definition, path);
    state.set(reference, 'done');
    chained--;
  };
  follow(root, null);
}

function definitionOf(root: JsonObject, reference: string, at: Path): { definition: Json; path: Path } {
  const [, place, name] = /^#\/(\$defs|definitions)\/([^/]+)$/.exec(reference) ?? [];
  const definitions = place === undefined ? undefined : root[place];
  if (
    place === undefined ||
    name === undefined ||
    !isJsonObject(definitions) ||
    !Object.hasOwn(definitions, name)
  ) {
    throw new Inexpressible('the reference leads to no definition at the top of the schema', at);
  }
  return { definition: definitions[name] as Json, path: within(null, place, name) };
}
