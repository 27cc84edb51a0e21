import { hash } from 'node:crypto';
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts';
import { endOfString, type JsonBody } from '../core/json-body.ts';

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
  const { scope, dialect, model, node, targets, streaming, headers } = parts;
  const asked = headersAsked(headers);
  const about = JSON.stringify([FORM, scope, dialect, model, node, targets, streaming, asked]);
  return hash('sha256', `${about}\n${canonicalBody(body)}`, 'base64url');
}

function headersAsked(headers: readonly string[]): string[] {
  const pairs: string[] = [];
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] as string;
    if (!isVolatile(name)) pairs.push(JSON.stringify([name, headers[at + 1]]));
  }
  return pairs.sort();
}

/**
 * The body with the names of each object sorted, numbers and white space as we print them, and without what does not matter. `model` and
 * `stream` are left out: `KeyParts` says what they come to. Where two texts that are read differently may look the same so, as with names
 * that stand twice, the bytes themselves belong to it.
 */
export function canonicalBody({ bytes, value }: JsonBody): string {
  const form = new CanonicalForm();
  const text = form.top(value);
  const names = namesIn(bytes);
  const isSure = form.isExact && !names.anyEscaped && names.count === form.members;
  return isSure ? text : `${text}\n${hash('sha256', bytes, 'base64url')}`;
}

class CanonicalForm {
  /** Members of all objects, also of those left out. */
  members = 0;
  /** No number was read for another one. */
  isExact = true;

  top(body: JsonObject): string {
    return this.#object(body, (name, value) => {
      if (isLeftOut(name, value, true)) return null;
      if (name !== 'metadata' || !isJsonObject(value)) return this.#print(value);
      return this.#object(value, (inner, one) => (isLeftOut(inner, one, false) ? null : this.#print(one)));
    });
  }

  #print(value: Json): string {
    if (typeof value === 'string') return printText(value);
    if (typeof value === 'number') return this.#number(value);
    if (Array.isArray(value)) return `[${value.map((one) => this.#print(one)).join()}]`;
    if (value === null || typeof value === 'boolean') return String(value);
    return this.#object(value, (_, one) => this.#print(one));
  }

  /** `print` gives null for what is left out. */
  #object(object: JsonObject, print: (name: string, value: Json) => string | null): string {
    const printed: string[] = [];
    for (const name of Object.keys(object).sort()) {
      this.members++;
      const text = print(name, object[name] as Json);
      if (text !== null) printed.push(`${JSON.stringify(name)}:${text}`);
    }
    return `{${printed.join()}}`;
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

function printText(text: string): string {
  // As UTF-8, halves of characters would all be the same.
  return text.length < LONG || !text.isWellFormed() ? JSON.stringify(text) : `#${hash('sha256', text)}`;
}

function isLeftOut(name: string, value: Json, atTop: boolean): boolean {
  return isSimple(value) && (isVolatile(name) || (atTop && NOT_ASKED.has(name)));
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
  let count = 0;
  let anyEscaped = false;
  let start = 0;
  let end = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      start = at;
      end = endOfString(bytes, at);
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
