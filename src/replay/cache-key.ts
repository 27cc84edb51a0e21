import { createHash, type Hash, hash } from 'node:crypto';
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts';
import type { JsonBody } from '../core/json-body.ts';
import { endOfString } from '../core/json-members.ts';
import { othersTurn } from '../core/turns.ts';

/** What decides about an answer besides the client's body. */
export interface KeyParts {
  /** Whose answers these are: a tenant's id, or `EVERYONE`. */
  scope: string;
  dialect: string;
  /** The name under `models`: an alias is resolved. */
  model: string;
  /** The label of the node where the answer is looked for. */
  node: string;
  /** All that the request may be sent to from there, and what is put over it. */
  targets: string;
  streaming: boolean;
  /** Headers of the client's that go on: name, value … Names in lower case. */
  headers: readonly string[];
}

/** Of the key's form: answers of another one are not found. */
const FORM = 1;

/** At the top: what `KeyParts` says, and what says who asks or how a provider is to keep and bill it, and nothing of what is asked. */
const NOT_ASKED: ReadonlySet<string> = new Set([
  'model',
  'stream',
  'prompt_cache_key',
  'prompt_cache_retention',
  'safety_identifier',
  'service_tier',
]);

/** Names of what is another one in each request, in small letters and without what is none. */
const VOLATILE: ReadonlySet<string> = new Set([
  'clientrequestid',
  'correlationid',
  'idempotencykey',
  'parentspanid',
  'requestedat',
  'requestid',
  'sentat',
  'spanid',
  'timestamp',
  'traceid',
  'traceparent',
  'tracestate',
  'xcorrelationid',
  'xrequestid',
  'xtraceid',
]);

/** Is this the name of what is another one in each request: an id of it, or its time? */
export function isVolatile(name: string): boolean {
  return VOLATILE.has(name.toLowerCase().replaceAll(/[^a-z0-9]/g, ''));
}

/** The same text for requests that mean the same, and for no others: SHA-256 of their canonical form. */
export function cacheKey(parts: KeyParts, body: JsonBody): string {
  const steps = keySteps(parts, body);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** The same of a large body, in steps between which others have their turn. */
export async function cacheKeyOfLarge(parts: KeyParts, body: JsonBody): Promise<string> {
  const steps = keySteps(parts, body);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    await othersTurn();
  }
}

/**
 * About the body: the names of each object sorted, numbers and white space as we print them, and without what does not matter. `model` and
 * `stream` are left out: `KeyParts` says what they come to. Where two texts that are read differently may look the same so, as with names
 * that stand twice, the bytes themselves belong to it.
 */
function* keySteps(parts: KeyParts, { bytes, value }: JsonBody): Generator<undefined, string> {
  const { scope, dialect, model, node, targets, streaming, headers } = parts;
  const asked = headersAsked(headers);
  const whole = createHash('sha256');
  whole.update(`${JSON.stringify([FORM, scope, dialect, model, node, targets, streaming, asked])}\n`);
  const form = new CanonicalForm(whole);
  yield* form.top(value);
  const names = namesIn(bytes);
  if (!form.isExact || names.anyEscaped || names.count !== form.members) {
    yield;
    whole.update(`\n${hash('sha256', bytes, 'base64url')}`);
  }
  return whole.digest('base64url');
}

function headersAsked(headers: readonly string[]): string[] {
  const pairs: string[] = [];
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] as string;
    if (!isVolatile(name)) pairs.push(JSON.stringify([name, headers[at + 1]]));
  }
  return pairs.sort();
}

/** What is printed of a body before it is hashed, and others have their turn. Characters. */
const STEP = 512 * 1024;

type IsLeftOut = (name: string, value: Json) => boolean;

/** Yields after each step. */
class CanonicalForm {
  /** Members of all objects, also of those left out. */
  members = 0;
  /** No number was read for another one. */
  isExact = true;
  readonly #hash: Hash;
  /** Not hashed yet. */
  #text = '';

  constructor(to: Hash) {
    this.#hash = to;
  }

  *top(body: JsonObject): Generator<undefined> {
    yield* this.#object(body, isLeftOutAtTop, true);
    this.#flush();
    yield;
  }

  *#value(value: Json): Generator<undefined> {
    if (Array.isArray(value)) yield* this.#array(value);
    else if (isJsonObject(value)) yield* this.#object(value, NEVER, false);
    else if (this.#simple(value)) yield;
  }

  *#array(values: readonly Json[]): Generator<undefined> {
    this.#text += '[';
    let separator = '';
    for (const value of values) {
      this.#text += separator;
      separator = ',';
      if (typeof value === 'object') yield* this.#value(value);
      else if (this.#simple(value)) yield;
    }
    this.#text += ']';
  }

  *#object(object: JsonObject, leavesOut: IsLeftOut, isTop: boolean): Generator<undefined> {
    this.#text += '{';
    let separator = '';
    for (const name of Object.keys(object).sort()) {
      this.members++;
      const value = object[name] as Json;
      if (leavesOut(name, value)) continue;
      this.#text += `${separator}${JSON.stringify(name)}:`;
      separator = ',';
      if (isTop && name === 'metadata' && isJsonObject(value)) yield* this.#object(value, isLeftOut, false);
      else if (typeof value === 'object') yield* this.#value(value);
      else if (this.#simple(value)) yield;
    }
    this.#text += '}';
  }

  /** True: this is enough for one step. */
  #simple(value: string | number | boolean | null): boolean {
    this.#text += typeof value === 'number' ? this.#number(value) : printSimple(value);
    if (this.#text.length < STEP) return false;
    this.#flush();
    return true;
  }

  #flush(): void {
    this.#hash.update(this.#text);
    this.#text = '';
  }

  /** Beyond 2^53 several whole numbers are read as the same, and not every upstream reads as we do. */
  #number(value: number): string {
    if (Number.isInteger(value) ? !Number.isSafeInteger(value) : !Number.isFinite(value))
      this.isExact = false;
    return String(value);
  }
}

/** A longer text, such as a picture, stands there as its hash: quoted, it would be copied several times. Characters. */
const LONG = 64 * 1024;

function printSimple(value: string | boolean | null): string {
  // As UTF-8, halves of characters would all be the same.
  if (typeof value !== 'string' || value.length < LONG || !value.isWellFormed()) return JSON.stringify(value);
  return `#${hash('sha256', value)}`;
}

const NEVER: IsLeftOut = () => false;

const isLeftOutAtTop: IsLeftOut = (name, value) =>
  isLeftOut(name, value) || (isSimple(value) && NOT_ASKED.has(name));

function isLeftOut(name: string, value: Json): boolean {
  return isSimple(value) && isVolatile(name);
}

/** What has parts is no id and no time. */
function isSimple(value: Json): boolean {
  return typeof value !== 'object' || value === null;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;

/** How many names there are in a text that is JSON, and whether one of them is written with an escape, which V8 may misread (see `JsonBody`). */
function namesIn(bytes: Buffer): { count: number; anyEscaped: boolean } {
  const text = bytes.toString('latin1');
  let count = 0;
  let anyEscaped = false;
  let start = 0;
  let end = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      start = at;
      end = endOfString(bytes, text, at);
      if (end < 0) break;
      at = end - 1;
    } else if (byte === COLON) {
      count++;
      for (let within = start; !anyEscaped && within < end; within++) {
        if (bytes[within] === BACKSLASH) anyEscaped = true;
      }
    }
  }
  return { count, anyEscaped };
}
