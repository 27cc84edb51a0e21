import type { z } from 'zod';
import { nearest } from '../core/nearest.ts';
import type { Path } from './path.ts';
import { isSecret, knownKeys, schemaAt, unwrap } from './walk.ts';

/** One fault that a schema found. */
export interface Fault {
  path: Path;
  message: string;
  /** The key itself is wrong: point at the key, not at its value. */
  atKey: boolean;
}

/** What stands at the place of a fault. */
export interface FoundValue {
  /** Null for what is no text. */
  text: string | null;
  /** As a message may show it. */
  shown(secret: boolean): string;
}

/** What zod found, as a user should read it: what was expected, what stands there (null: nothing), what may have been meant. */
export function faultsOf(root: z.ZodType, issue: z.core.$ZodIssue, found: FoundValue | null): Fault[] {
  const path = issue.path as Path;
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      path: [...path, key],
      message: unknownKey(root, path, key),
      atKey: true,
    }));
  }
  const schema = schemaAt(root, path);
  const facets = schema === null ? {} : unwrap(schema).facets;
  if (issue.code === 'invalid_key') {
    return [{ path, message: issue.issues[0]?.message ?? 'expected another key', atKey: true }];
  }
  const text = found?.text ?? null;
  if (issue.code === 'invalid_value' && found !== null && text !== null) {
    const meant = nearest(text, issue.values.map(String));
    const hint = meant === null ? '' : `; did you mean ${meant}?`;
    return [{ path, message: `expected ${oneOf(issue)}, found ${found.shown(false)}${hint}`, atKey: false }];
  }
  const expected =
    facets.form === 'whole number' && issue.code === 'invalid_type'
      ? 'expected a whole number'
      : expectation(issue);
  if (found === null) return [{ path, message: `missing; ${expected}`, atKey: true }];
  return [{ path, message: `${expected}, found ${found.shown(isSecret(root, path))}`, atKey: false }];
}

function unknownKey(root: z.ZodType, path: Path, key: string): string {
  const known = knownKeys(root, path);
  const meant = nearest(key, known);
  return `unknown key; ${meant === null ? `known here: ${known.join(', ')}` : `did you mean ${meant}?`}`;
}

const KINDS: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: '`true` or `false`',
  array: 'a list',
  object: 'a map of keys',
  record: 'a map of keys',
};

function expectation(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'custom':
      return issue.message;
    case 'invalid_type':
      return `expected ${KINDS[issue.expected] ?? issue.expected}`;
    case 'invalid_value':
      return `expected ${oneOf(issue)}`;
    case 'too_small':
      if (issue.origin === 'string') return 'expected a text that is not empty';
      if (issue.origin === 'array') return `expected a list of at least ${issue.minimum}`;
      return `expected ${issue.inclusive ? `${issue.minimum} or more` : `more than ${issue.minimum}`}`;
    case 'too_big':
      if (issue.origin === 'string') return `expected at most ${issue.maximum} characters`;
      return `expected ${issue.maximum} or less`;
    default:
      return 'expected something else';
  }
}

function oneOf(issue: z.core.$ZodIssueInvalidValue): string {
  return issue.values.length === 1 ? `\`${String(issue.values[0])}\`` : `one of ${issue.values.join(', ')}`;
}

/** Longer texts are cut. Characters. */
const LONGEST_SHOWN = 60;

/** A scalar as a message may show it: never a secret. `written`: as it stands there. */
export function shownScalar(
  value: string | number | boolean | null,
  written: string,
  secret: boolean,
): string {
  if (value === null) return 'nothing';
  if (value === '') return 'an empty text';
  if (secret || looksSecret(written))
    return `a ${typeof value === 'string' ? 'text' : typeof value} (not shown)`;
  const cut = written.length > LONGEST_SHOWN ? `${written.slice(0, LONGEST_SHOWN)}…` : written;
  return typeof value === 'string' ? JSON.stringify(cut) : cut;
}

/** A key that strayed into another field: the usual beginnings, a password in a URL, or a long run of letters and digits. */
function looksSecret(text: string): boolean {
  return /\b(sk|gsk|xai|pk|key|AIza)[-_]|:\/\/[^/\s]*@|bearer |[A-Za-z0-9+/_-]{32,}/i.test(text);
}
