import { isJsonObject, type Json, type JsonObject } from '../core/json.ts';
import { utf8Length } from '../core/text.ts';
import {
  BYTES_PER_TOKEN,
  IMAGE_TOKENS,
  NAMED_FILE_TOKENS,
  SMALL_IMAGE_TOKENS,
  tokensOfBase64,
  tokensOfSound,
  tokensOfText,
} from '../core/tokens.ts';
import type { Usage } from '../core/usage.ts';
import type { Output } from '../providers/openai/output.ts';
import { Ratios } from './ratios.ts';

/** What a message takes besides its text: its role and the marks around it. */
const TOKENS_PER_MESSAGE = 4;
/** What opens the answer. */
const TOKENS_BEFORE_ANSWER = 3;
/** What stands around a member of a schema: quotes, colon, comma. Bytes. */
const BYTES_PER_MEMBER = 4;

/** Shorter than this, what a file says of itself is a name or an address, not data. Characters. */
const SHORTEST_DATA = 512;

/** Tokens of a prompt, estimated. */
export interface PromptEstimate {
  tokens: number;
  /** Of those, what is pictures, sound and files: a much rougher guess than text. */
  media: number;
}

/** Tokens that the prompt takes, estimated without a tokenizer and without what is known of the model. */
export function estimateInput(body: JsonObject): number {
  return estimatePrompt(body).tokens;
}

export function estimatePrompt(body: JsonObject): PromptEstimate {
  const sum = new Sum();
  const { messages, input, system, instructions, tools, functions, response_format: format } = body;
  if (Array.isArray(messages)) {
    for (const message of messages) addMessage(message, sum);
    sum.tokens += TOKENS_BEFORE_ANSWER;
  }
  // What other dialects have in place of messages, or beside them.
  if (Array.isArray(input)) for (const item of input) addMessage(item, sum);
  else if (input !== undefined) addText('', input, sum);
  if (Array.isArray(system)) for (const part of system) addPart(part, sum);
  else if (system !== undefined) addText('', system, sum);
  if (typeof instructions === 'string') addText('', instructions, sum);
  if (Array.isArray(tools)) addSchema(tools, sum);
  if (Array.isArray(functions)) addSchema(functions, sum);
  // `{"type":"json_object"}` is no part of the prompt; a schema is.
  if (isJsonObject(format))
    for (const name in format) if (isJsonObject(format[name])) addSchema(format[name], sum);
  return { tokens: Math.ceil(sum.bytes / BYTES_PER_TOKEN) + sum.tokens + sum.media, media: sum.media };
}

/** What was come upon so far. */
class Sum {
  /** Of text. */
  bytes = 0;
  tokens = 0;
  media = 0;
}

function addMessage(message: Json, sum: Sum): void {
  sum.tokens += TOKENS_PER_MESSAGE;
  if (!isJsonObject(message)) return;
  for (const name in message) {
    const value = message[name] as Json;
    if (name === 'role') continue;
    if (name === 'content' && Array.isArray(value)) {
      for (const part of value) addPart(part, sum);
    } else if (name === 'content' && typeof value === 'string') sum.bytes += utf8Length(value);
    else addText(name, value, sum);
  }
}

function addPart(part: Json, sum: Sum): void {
  if (!isJsonObject(part)) {
    addText('', part, sum);
    return;
  }
  switch (part['type']) {
    case 'text':
    case 'input_text':
      if (typeof part['text'] === 'string') sum.bytes += utf8Length(part['text']);
      return;
    case 'image_url':
    case 'input_image':
    case 'image': {
      const image = part['image_url'];
      const detail = isJsonObject(image) ? image['detail'] : part['detail'];
      sum.media += detail === 'low' ? SMALL_IMAGE_TOKENS : IMAGE_TOKENS;
      return;
    }
    case 'input_audio':
    case 'audio':
    case 'audio_url':
      sum.media += tokensOfSound(longestText(part).length);
      return;
    case 'file':
    case 'input_file':
    case 'document':
    case 'document_url':
    case 'video':
    case 'video_url':
    case 'input_video':
      sum.media += tokensOfFile(longestText(part));
      return;
    default:
      addText('', part, sum);
  }
}

function tokensOfFile(data: string): number {
  if (data.length < SHORTEST_DATA) return NAMED_FILE_TOKENS;
  if (!isBase64(data, DATA_URL.exec(data)?.[0].length ?? 0)) return tokensOfText(data);
  return tokensOfBase64(data.length, data.startsWith('data:text/'));
}

/** The longest string in a part: its data, if it has any. */
function longestText(value: Json): string {
  if (typeof value === 'string') return value;
  let longest = '';
  if (typeof value === 'object' && value !== null) {
    for (const name in value) {
      const text = longestText((value as JsonObject)[name] as Json);
      if (text.length > longest.length) longest = text;
    }
  }
  return longest;
}

/** All texts within something that no rule above knows: tool calls, refusals, thoughts, parts that are yet to be invented. */
function addText(name: string, value: Json, sum: Sum): void {
  if (typeof value === 'string') {
    if (isData(name, value)) sum.media += Math.min(IMAGE_TOKENS, tokensOfFile(value));
    else sum.bytes += utf8Length(value);
  } else if (Array.isArray(value)) {
    for (const inner of value) addText(name, inner, sum);
  } else if (isJsonObject(value)) {
    for (const inner in value)
      if (inner !== 'type' && inner !== 'id') addText(inner, value[inner] as Json, sum);
  }
}

/** No model is given megabytes of base64 to read as text; but what only begins like that, it is. */
function isData(name: string, value: string): boolean {
  if (value.length < SHORTEST_DATA) return false;
  const start = DATA_URL.exec(value)?.[0].length ?? (name === 'data' ? 0 : null);
  return start !== null && isBase64(value, start);
}

/** Names of types and their parameters are no longer than this (RFC 6838), and what looks for them reads no further. */
const DATA_URL = /^data:[\w.+-]{1,127}\/[\w.+-]{1,127}(?:;[\w.+-]{1,127}=[\w.+-]{1,127}){0,3};base64,/;

/** By character code: may it stand in base64, of either alphabet? */
const BASE64 = new Uint8Array(128);
for (const character of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=') {
  BASE64[character.charCodeAt(0)] = 1;
}

/** By samples from all over: nobody has to read megabytes, and text does not look like it anywhere. */
function isBase64(value: string, start: number): boolean {
  const step = Math.max(1, Math.floor((value.length - start) / 256));
  for (let at = start; at < value.length; at += step) if (BASE64[value.charCodeAt(at)] !== 1) return false;
  return true;
}

/** Definitions of tools, and schemas: the model is given the names of their members as well. */
function addSchema(value: Json, sum: Sum): void {
  if (typeof value === 'string') sum.bytes += utf8Length(value) + 2;
  else if (Array.isArray(value)) {
    sum.bytes += 2 + value.length;
    for (const inner of value) addSchema(inner, sum);
  } else if (isJsonObject(value)) {
    sum.bytes += 2;
    for (const name in value) {
      sum.bytes += utf8Length(name) + BYTES_PER_MEMBER;
      addSchema(value[name] as Json, sum);
    }
  } else sum.bytes += 4;
}

/** No model writes as much. Bounds what a request reserves, so that sums of money in billionths stay exact. */
const MOST_OUTPUT = 1e9;

const NO_OVERRIDES: JsonObject = {};

/**
 * Tokens that the answer may have: the client's bound or the target's own, for each of its choices. What is no bound (upstreams refuse it,
 * or take it to mean none) counts as none given.
 */
export function maxOutput(
  body: JsonObject,
  defaultTokens: number,
  overrides: JsonObject = NO_OVERRIDES,
): number {
  const choices = Object.hasOwn(overrides, 'n') ? overrides['n'] : body['n'];
  const bound = boundOf(body, overrides) ?? defaultTokens;
  return Math.min(MOST_OUTPUT, bound * (isCount(choices) ? choices : 1));
}

/** What the dialects call the most tokens that an answer may have. */
export const MAXIMA = ['max_completion_tokens', 'max_tokens', 'max_output_tokens'] as const;

/** The higher of two that are both given: which of them a host obeys, it alone knows. */
function boundOf(body: JsonObject, overrides: JsonObject): number | null {
  let highest: number | null = null;
  for (const name of MAXIMA) {
    const bound = Object.hasOwn(overrides, name) ? overrides[name] : body[name];
    if (isCount(bound) && (highest === null || bound > highest)) highest = bound;
  }
  return highest;
}

/** Does the client say itself how long the answer may be? */
export function namesMaximum(body: JsonObject): boolean {
  return boundOf(body, NO_OVERRIDES) !== null;
}

function isCount(value: Json | undefined): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1;
}

/** Prompts below this are mostly what a host puts around them, and of so little text a token is any number of characters. Tokens. */
const TINY = 10;
/** More than anything can come to. Keeps products whole and exact. */
const MOST_TOKENS = 1e12;

/** Whose experience with which model an estimate goes by. Both are of closed sets. */
export class Habit {
  readonly model: string;
  /** Of both. */
  readonly name: string;

  constructor(tenant: string, model: string) {
    this.model = model;
    this.name = `${tenant} ${model}`;
  }
}

/** So many are remembered; then all are forgotten, and made again as they are asked for. */
const MOST_HABITS = 10_000;

/** How far an estimate goes by what others' prompts came to. */
const OTHERS = { least: 0.5, most: 2 };

/**
 * Estimates that are corrected by what answers report: for each tenant and model, since texts differ, and since nobody is to be refused
 * because of what others send. What all of a model's answers report counts, within bounds, only for a tenant that is new to it.
 */
export class Estimator {
  readonly #input = new Corrections();
  readonly #output = new Corrections();
  /** By the model, then by the tenant. */
  readonly #habits = new Map<string, Map<string, Habit>>();
  #known = 0;

  /** Made once for all requests that go by it. */
  habit(tenant: string, model: string): Habit {
    return this.#habits.get(model)?.get(tenant) ?? this.#makeHabit(tenant, model);
  }

  #makeHabit(tenant: string, model: string): Habit {
    if (this.#known >= MOST_HABITS) {
      this.#habits.clear();
      this.#known = 0;
    }
    let ofModel = this.#habits.get(model);
    if (ofModel === undefined) {
      ofModel = new Map();
      this.#habits.set(model, ofModel);
    }
    const made = new Habit(tenant, model);
    ofModel.set(tenant, made);
    this.#known++;
    return made;
  }

  /** Tokens of the prompt that `estimateInput` has found. At least one. */
  corrected(habit: Habit, estimated: number): number {
    return Math.max(1, Math.round(bounded(estimated) * this.#input.of(habit)));
  }

  /** Takes note of what an upstream reported for a prompt. `estimated` is not corrected; `media` is the part of it that is pictures and the like. */
  learn(habit: Habit, estimated: number, reported: number, media = 0): void {
    this.#input.learn(habit, reported / estimated, estimated < TINY || media * 2 > estimated);
  }

  /** Tokens of so much output (see `Output`); none if there is none. */
  outputTokens(habit: Habit, characters: number): number {
    return Math.ceil((bounded(characters) / BYTES_PER_TOKEN) * this.#output.of(habit));
  }

  /** Takes note of what an upstream reported for so much output. What was reasoning that stayed hidden is in neither. */
  learnOutput(habit: Habit, characters: number, reported: number): void {
    const estimated = characters / BYTES_PER_TOKEN;
    this.#output.learn(habit, reported / estimated, estimated < TINY);
  }

  /** The same, of all that an answer brought. */
  learnAnswer(habit: Habit, { characters, reasoning }: Output, usage: Usage): void {
    // A host that does not say how much was reasoning has it in its total; one that does may have shown all of it, some, or none.
    if (usage.reasoning === 0) this.learnOutput(habit, characters, usage.output);
    else this.learnOutput(habit, characters - reasoning, usage.output - usage.reasoning);
  }
}

class Corrections {
  readonly #own = new Ratios();
  readonly #ofAll = new Ratios();

  of({ name, model }: Habit): number {
    const own = this.#own.of(name);
    return own ?? Math.min(OTHERS.most, Math.max(OTHERS.least, this.#ofAll.of(model) ?? 1));
  }

  learn({ name, model }: Habit, observed: number, saysLittle: boolean): void {
    this.#own.learn(name, observed, saysLittle);
    this.#ofAll.learn(model, observed, saysLittle);
  }
}

function bounded(amount: number): number {
  return amount > 0 ? Math.min(amount, MOST_TOKENS) : 0;
}
