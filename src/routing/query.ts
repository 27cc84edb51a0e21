import { isJsonObject, type Json } from '../core/json.ts';
import { nearest } from '../core/nearest.ts';

/** A condition, compiled when the configuration is loaded. */
export interface Query {
  matches(facts: Facts): boolean;
}

/** What a condition can ask about: looks up a dotted path such as `tenant.tier`; undefined where there is nothing. */
export interface Facts {
  lookup(path: readonly string[]): Json | undefined;
}

/** Told of each mistake: where in the query it is, and what it is. */
export type ReportQuery = (path: readonly (string | number)[], message: string) => void;

type Test = (value: Json | undefined) => boolean;

/** What a field can begin with, and what can follow; null = anything, to any depth. */
const ROOTS: Readonly<Record<string, readonly string[] | null>> = {
  tenant: ['id', 'tier', 'key'],
  metadata: null,
  params: null,
  request: ['input_tokens'],
};

/** Only so much of a text is held against a `$regex`: clients choose the text, and a bad expression takes long. Characters. */
const LONGEST_TESTED = 4096;

const ORDERINGS: Readonly<Record<string, (order: number) => boolean>> = {
  $gt: (order) => order > 0,
  $gte: (order) => order >= 0,
  $lt: (order) => order < 0,
  $lte: (order) => order <= 0,
};
const FIELD_OPERATORS = ['$eq', '$ne', ...Object.keys(ORDERINGS), '$in', '$nin', '$regex'];
const JOINERS = ['$and', '$or'];

/** Makes a condition of what the file says, or gives null after telling `report` of every mistake in it. */
export function compileQuery(source: Json | undefined, report: ReportQuery): Query | null {
  if (!isJsonObject(source) || Object.keys(source).length === 0) {
    report([], 'expected a map such as { tenant.tier: { $eq: free } }');
    return null;
  }
  const parts: (Query | null)[] = Object.entries(source).map(([key, value]) => {
    const inside: ReportQuery = (path, message) => report([key, ...path], message);
    if (JOINERS.includes(key)) return compileJoin(key, value, inside);
    if (key.startsWith('$')) {
      inside([], `unknown operator${didYouMean(key, JOINERS)}; here stand fields, $and and $or`);
      return null;
    }
    return compileField(key, value, inside);
  });
  return allOf(parts);
}

function allOf(parts: readonly (Query | null)[]): Query | null {
  const queries = parts.filter((part) => part !== null);
  if (queries.length < parts.length) return null;
  return queries.length === 1 && queries[0] !== undefined
    ? queries[0]
    : { matches: (facts) => queries.every((query) => query.matches(facts)) };
}

function compileJoin(joiner: string, value: Json | undefined, report: ReportQuery): Query | null {
  if (!Array.isArray(value) || value.length === 0) {
    report([], 'expected a list of conditions');
    return null;
  }
  const all = allOf(
    value.map((part, index) => compileQuery(part, (path, text) => report([index, ...path], text))),
  );
  if (all === null || joiner === '$and') return all;
  const queries = value.map((part) => compileQuery(part, () => {})).filter((query) => query !== null);
  return { matches: (facts) => queries.some((query) => query.matches(facts)) };
}

function compileField(field: string, value: Json | undefined, report: ReportQuery): Query | null {
  const path = field.split('.');
  const [root = '', name = ''] = path;
  const names = Object.hasOwn(ROOTS, root) ? ROOTS[root] : undefined;
  if (names === undefined) {
    const roots = Object.keys(ROOTS);
    report(
      [],
      `unknown field${didYouMean(root, roots)}; fields begin with ${roots.map((r) => `${r}.`).join(', ')}`,
    );
    return null;
  }
  if (path.length < 2 || path.includes('')) {
    report([], `expected a name after the dot, such as ${root}.${names?.[0] ?? 'team'}`);
    return null;
  }
  if (names !== null && (path.length > 2 || !names.includes(name))) {
    const known = names.map((n) => `${root}.${n}`).join(', ');
    report([], `unknown field${didYouMean(name, names, root)}; known here: ${known}`);
    return null;
  }
  // A count from the environment arrives as text.
  const isNumber = root === 'request';
  const tests = compileTests(isNumber ? numbersIn(value) : value, report);
  return tests === null ? null : { matches: (facts) => tests.every((test) => test(facts.lookup(path))) };
}

function compileTests(value: Json | undefined, report: ReportQuery): Test[] | null {
  if (!isJsonObject(value)) return [(found) => equal(found, value)];
  const tests = Object.entries(value).map(([operator, operand]) =>
    compileTest(operator, operand, (message) => report([operator], message)),
  );
  if (tests.length === 0) report([], 'expected a value, or operators such as { $eq: free }');
  const good = tests.filter((test) => test !== null);
  return good.length === tests.length && good.length > 0 ? good : null;
}

function compileTest(
  operator: string,
  operand: Json | undefined,
  report: (message: string) => void,
): Test | null {
  const ordering = Object.hasOwn(ORDERINGS, operator) ? ORDERINGS[operator] : undefined;
  if (ordering !== undefined) {
    if (typeof operand === 'number' || typeof operand === 'string')
      return (found) => inOrder(found, operand, ordering);
    report('expected a number or a text to compare with');
    return null;
  }
  switch (operator) {
    case '$eq':
      return (found) => equal(found, operand);
    case '$ne':
      return (found) => !equal(found, operand);
    case '$in':
    case '$nin': {
      if (!Array.isArray(operand)) {
        report('expected a list');
        return null;
      }
      const wanted = operator === '$in';
      return (found) => operand.some((one) => equal(found, one)) === wanted;
    }
    case '$regex':
      return compileRegex(operand, report);
    default:
      report(
        `unknown operator${didYouMean(operator, FIELD_OPERATORS)}; known here: ${FIELD_OPERATORS.join(' ')}`,
      );
      return null;
  }
}

function compileRegex(operand: Json | undefined, report: (message: string) => void): Test | null {
  if (typeof operand !== 'string') {
    report('expected a regular expression, as a text');
    return null;
  }
  try {
    const expression = new RegExp(operand);
    return (found) => typeof found === 'string' && expression.test(found.slice(0, LONGEST_TESTED));
  } catch (error) {
    // The engine's message quotes the expression, which may come from the environment: only the reason after it is shown.
    const reason =
      error instanceof Error ? error.message.slice(error.message.lastIndexOf(': ') + 2) : 'unreadable';
    report(`not a regular expression: ${reason}`);
    return null;
  }
}

function inOrder(
  found: Json | undefined,
  operand: number | string,
  ordering: (order: number) => boolean,
): boolean {
  if (typeof found === 'number' && typeof operand === 'number') return ordering(found - operand);
  if (typeof found === 'string' && typeof operand === 'string') {
    return ordering(found < operand ? -1 : found > operand ? 1 : 0);
  }
  return false;
}

/** The same value, level by level. What is not there equals nothing, not even null. */
function equal(a: Json | undefined, b: Json | undefined): boolean {
  if (a === undefined || b === undefined) return false;
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, index) => equal(item, b[index]));
  }
  if (isJsonObject(a) && isJsonObject(b)) {
    const keys = Object.keys(a);
    return (
      keys.length === Object.keys(b).length &&
      keys.every((key) => Object.hasOwn(b, key) && equal(a[key], b[key]))
    );
  }
  return a === b;
}

function numbersIn(value: Json | undefined): Json | undefined {
  if (typeof value === 'string' && value.trim() !== '' && Number.isFinite(Number(value)))
    return Number(value);
  if (Array.isArray(value)) return value.map((item) => numbersIn(item) ?? null);
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, numbersIn(item) ?? null]));
}

function didYouMean(wanted: string, names: readonly string[], root?: string): string {
  const meant = nearest(wanted, names);
  return meant === null ? '' : `, did you mean ${root === undefined ? '' : `${root}.`}${meant}?`;
}
