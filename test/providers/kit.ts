/** What the tests of all adapters need: to ask one, to feed its reader, and to hold what comes out to OpenAI's shapes. */
import assert from 'node:assert/strict';
import { type ModelCapabilities, NOTHING_KNOWN } from '../../src/capabilities/capabilities.ts';
import type { Recall, Remembered } from '../../src/chat/extensions.ts';
import type { AnswerFacts } from '../../src/chat/writer.ts';
import { isJsonObject, type Json, type JsonObject } from '../../src/core/json.ts';
import { JsonBody } from '../../src/core/json-body.ts';
import type { Usage } from '../../src/core/usage.ts';
import type {
  AnswerReader,
  Ask,
  ChunkSink,
  FrameDecoder,
  PlainReading,
  Prepared,
  StreamFormat,
} from '../../src/providers/adapter.ts';
import type { WireHeaders } from '../../src/providers/retry-after.ts';
import type { ProviderSettings } from '../../src/providers/settings.ts';
import { SseDecoder } from '../../src/sse/decoder.ts';

export const PROVIDER: ProviderSettings = {
  id: 'provider',
  adapter: 'openai',
  baseUrl: 'https://upstream.test',
  apiKeys: ['key'],
  headers: {},
  proxy: null,
  ca: null,
  connections: 1,
  limits: null,
  adaptive: false,
  region: null,
  resource: null,
  deployments: {},
  apiVersion: null,
  project: null,
  location: null,
};

const NOTHING_REMEMBERED: Recall = () => null;

/** What a test wants otherwise than `askFor` has it. */
export type AskChanges = Partial<Omit<Ask, 'body' | 'capabilities' | 'provider'>> & {
  capabilities?: Partial<ModelCapabilities>;
  provider?: Partial<ProviderSettings>;
};

/** A request for one target. `body`: what the client sent, as text where its bytes matter. */
export function askFor(body: JsonObject | string, changes: AskChanges = {}): Ask {
  const { capabilities, provider, ...others } = changes;
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return {
    dialect: 'chat',
    body: JsonBody.parse(Buffer.from(text)),
    streaming: false,
    model: 'target-model',
    overrideParams: {},
    strict: false,
    cacheMarkers: false,
    recall: NOTHING_REMEMBERED,
    ...others,
    capabilities: { ...NOTHING_KNOWN, ...capabilities },
    provider: { ...PROVIDER, ...provider },
  };
}

/** What an adapter would send, as text. */
export function sentText({ body }: Pick<Prepared, 'body'>): string {
  return Buffer.concat(body).toString();
}

/** The same, parsed. */
export function sentJson(prepared: Pick<Prepared, 'body'>): JsonObject {
  const value: unknown = JSON.parse(sentText(prepared));
  assert.ok(isJsonObject(value));
  return value;
}

/** Facts that are the same each time, and what was remembered with them. */
export interface FixedFacts extends AnswerFacts {
  remembered: { callIds: readonly string[]; what: Remembered }[];
}

export function fixedFacts(model = 'target-model'): FixedFacts {
  let minted = 0;
  const remembered: FixedFacts['remembered'] = [];
  return {
    id: 'chatcmpl-fixed',
    created: 1_790_000_000,
    model,
    newId: () => `0000-${++minted}`,
    remember: (callIds, what) => remembered.push({ callIds, what }),
    remembered,
  };
}

/** Events as they go over the wire; those with a type have an `event` field. */
export function sse(events: readonly { type?: string; data: Json | string }[]): Buffer {
  const lines = events.map(({ type, data }) => {
    const text = typeof data === 'string' ? data : JSON.stringify(data);
    return `${type === undefined ? '' : `event: ${type}\n`}data: ${text}\n\n`;
  });
  return Buffer.from(lines.join(''));
}

/** The same bytes in one piece, in two cut at each byte, and byte by byte. */
export function* everySplit(bytes: Buffer): Generator<Buffer[]> {
  yield [bytes];
  for (let at = 1; at < bytes.length; at++) yield [bytes.subarray(0, at), bytes.subarray(at)];
  yield Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));
}

/** All that a translator told of one stream. */
export class Told implements ChunkSink {
  readonly chunks: JsonObject[] = [];
  readonly usages: Usage[] = [];
  readonly errors: JsonObject[] = [];
  readonly breaks: string[] = [];
  invalids = 0;
  foreigns = 0;
  /** How often it said that all has come. */
  dones = 0;
  /** What `end` gave back: the body of the call that brings the rest. */
  rest: readonly Buffer[] | null = null;

  chunk(chunk: JsonObject): void {
    this.chunks.push(chunk);
  }

  usage(usage: Usage): void {
    this.usages.push(usage);
  }

  error(error: JsonObject): void {
    this.errors.push(error);
  }

  invalid(): void {
    this.invalids++;
  }

  foreign(): void {
    this.foreigns++;
  }

  broken(why: string): void {
    this.breaks.push(why);
  }

  done(): void {
    this.dones++;
  }

  /** Nothing went wrong, all has come, and nothing was left out. */
  get isWhole(): boolean {
    const { errors, breaks, invalids, foreigns } = this;
    return this.dones > 0 && errors.length + breaks.length + invalids + foreigns === 0;
  }
}

/** Feeds a stream that is to be translated. Stops, as its caller would, at the first error, break or end. */
export function translate(format: StreamFormat, pieces: Iterable<Buffer>, told = new Told()): Told {
  assert.equal(format.kind, 'translated');
  if (format.kind !== 'translated') return told;
  const { translator } = format;
  const isOver = () => told.errors.length + told.breaks.length + told.dones > 0;
  const event = (data: string, type: string) => {
    if (!isOver()) translator.event(data, type, told);
  };
  const decoder: FrameDecoder = format.decoder?.({ event }) ?? new SseDecoder({ event }, 1 << 24);
  for (const piece of pieces) decoder.push(piece);
  decoder.end();
  if (!isOver()) told.rest = translator.end(told);
  return told;
}

const NO_HEADERS: WireHeaders = {};

/** A stream's bytes through a new reader of the answer to this request. */
export function streamed(prepared: Prepared, pieces: Iterable<Buffer>, facts = fixedFacts()): Told {
  return translate(prepared.answer(facts).stream(NO_HEADERS), pieces);
}

/** A whole answer through a new reader. */
export function plain(
  answer: Prepared | AnswerReader,
  value: JsonObject,
  facts = fixedFacts(),
): PlainReading {
  const reader = 'plain' in answer ? answer : answer.answer(facts);
  return reader.plain(value, Buffer.from(JSON.stringify(value)), NO_HEADERS);
}

/** The completion that a whole answer became: held to OpenAI's shape, and `value` to its bytes. */
export function completionOf(
  answer: Prepared | AnswerReader,
  value: JsonObject,
  facts = fixedFacts(),
): JsonObject {
  const reading = plain(answer, value, facts);
  assert.equal(reading.kind, 'answer', JSON.stringify(reading));
  if (reading.kind !== 'answer') return {};
  assert.deepEqual(JSON.parse(reading.body.toString()), JSON.parse(JSON.stringify(reading.value)));
  checkCompletion(reading.value);
  return reading.value;
}

const FINISHES = ['stop', 'length', 'tool_calls', 'content_filter'];

/** Held to what OpenAI's SDKs take for a chunk; further members may be there. */
export function checkChunk(chunk: JsonObject): void {
  checkHead(chunk, 'chat.completion.chunk');
  const choices = chunk['choices'];
  assert.ok(Array.isArray(choices), 'a chunk has choices');
  if (choices.length === 0) assert.ok(isJsonObject(chunk['usage']), 'a chunk without choices has usage');
  if (chunk['usage'] != null) checkUsage(chunk['usage']);
  for (const choice of choices) {
    assert.ok(isJsonObject(choice));
    assert.ok(isIndex(choice['index']), 'a choice has its index');
    const finish = choice['finish_reason'];
    assert.ok(finish === null || FINISHES.includes(String(finish)), `finish_reason ${String(finish)}`);
    const { delta } = choice;
    assert.ok(isJsonObject(delta), 'a choice has its delta');
    for (const name of ['content', 'refusal', 'reasoning_content']) {
      assert.ok(delta[name] == null || typeof delta[name] === 'string', `${name} is text`);
    }
    if (delta['role'] !== undefined) assert.equal(delta['role'], 'assistant');
    for (const call of list(delta['tool_calls'])) {
      assert.ok(isIndex(call['index']), 'a tool call has its index');
      const made = call['function'];
      assert.ok(isJsonObject(made), 'a tool call has its function');
      if (call['id'] !== undefined) checkCallHead(call, made);
      if (made['arguments'] !== undefined) assert.equal(typeof made['arguments'], 'string');
    }
    checkExtensions(delta);
    for (const block of list(delta['thinking_blocks'])) assert.ok(isIndex(block['index']));
  }
}

/** Held to what OpenAI's SDKs take for a chat completion; further members may be there. */
export function checkCompletion(completion: JsonObject): void {
  checkHead(completion, 'chat.completion');
  const choices = completion['choices'];
  assert.ok(Array.isArray(choices) && choices.length > 0, 'a completion has choices');
  if (completion['usage'] !== undefined) checkUsage(completion['usage']);
  for (const [at, choice] of choices.entries()) {
    assert.ok(isJsonObject(choice));
    assert.equal(choice['index'], at);
    assert.ok(FINISHES.includes(String(choice['finish_reason'])), `finish_reason ${choice['finish_reason']}`);
    assert.equal(choice['logprobs'], null);
    const { message } = choice;
    assert.ok(isJsonObject(message));
    assert.equal(message['role'], 'assistant');
    assert.ok(message['content'] === null || typeof message['content'] === 'string');
    assert.ok(message['refusal'] === null || typeof message['refusal'] === 'string');
    const calls = message['tool_calls'];
    assert.ok(calls === undefined || (Array.isArray(calls) && calls.length > 0));
    for (const call of list(calls)) {
      const made = call['function'];
      assert.ok(isJsonObject(made));
      checkCallHead(call, made);
      assert.equal(typeof made['arguments'], 'string');
    }
    checkExtensions(message);
  }
}

function checkHead(value: JsonObject, object: string): void {
  assert.equal(value['object'], object);
  assert.ok(typeof value['id'] === 'string' && value['id'] !== '');
  assert.ok(typeof value['model'] === 'string' && value['model'] !== '');
  assert.ok(Number.isInteger(value['created']));
}

function checkCallHead(call: JsonObject, made: JsonObject): void {
  assert.ok(typeof call['id'] === 'string' && call['id'] !== '', 'a tool call has its id');
  assert.equal(call['type'], 'function');
  assert.equal(typeof made['name'], 'string');
}

function checkExtensions(owner: JsonObject): void {
  for (const block of list(owner['thinking_blocks'])) {
    if (block['type'] === 'thinking') {
      assert.equal(typeof block['thinking'], 'string');
      assert.equal(typeof block['signature'], 'string');
    } else {
      assert.equal(block['type'], 'redacted_thinking');
      assert.equal(typeof block['data'], 'string');
    }
  }
  for (const annotation of list(owner['annotations'])) {
    assert.equal(annotation['type'], 'url_citation');
    const cited = annotation['url_citation'];
    assert.ok(isJsonObject(cited));
    assert.equal(typeof cited['url'], 'string');
    assert.equal(typeof cited['title'], 'string');
    assert.ok(isIndex(cited['start_index']) && isIndex(cited['end_index']));
  }
}

function checkUsage(usage: Json | undefined): void {
  assert.ok(isJsonObject(usage));
  for (const name of ['prompt_tokens', 'completion_tokens', 'total_tokens']) {
    assert.ok(isIndex(usage[name]), `${name} is a whole number`);
  }
  assert.equal(
    usage['total_tokens'],
    (usage['prompt_tokens'] as number) + (usage['completion_tokens'] as number),
  );
}

function isIndex(value: Json | undefined): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function list(value: Json | undefined): JsonObject[] {
  if (value === undefined || value === null) return [];
  assert.ok(Array.isArray(value));
  return value.map((one) => {
    assert.ok(isJsonObject(one));
    return one;
  });
}

interface Gathered {
  message: Record<string, Json>;
  calls: JsonObject[];
  finish: Json;
}

/**
 * Puts chunks together to the completion that they stand for, as strictly as OpenAI's SDKs do and more: each chunk is well-formed, all have the same
 * head, the role comes first, a call's head before its arguments, nothing after a finish. What has no finish keeps null.
 */
export function accumulate(chunks: readonly JsonObject[]): JsonObject {
  const first = chunks[0];
  assert.ok(first !== undefined, 'there is at least one chunk');
  const choices = new Map<number, Gathered>();
  const head: Record<string, Json> = {};
  let usage: Json | undefined;
  for (const chunk of chunks) {
    checkChunk(chunk);
    for (const name of ['id', 'created', 'model']) assert.equal(chunk[name], first[name], `${name} stays`);
    assert.equal(usage, undefined, 'usage comes last');
    if (chunk['usage'] != null) usage = chunk['usage'];
    for (const [name, value] of Object.entries(chunk)) {
      if (name !== 'choices' && name !== 'usage') head[name] = value;
    }
    for (const choice of list(chunk['choices'])) gather(choices, choice);
  }
  const done = [...choices]
    .sort(([a], [b]) => a - b)
    .map(([index, { message, calls, finish }]) => {
      const { content } = message;
      const whole: JsonObject = { ...message, content: content === '' ? null : (content as Json) };
      if (calls.length > 0) whole['tool_calls'] = calls;
      return { index, message: whole, logprobs: null, finish_reason: finish };
    });
  return {
    ...head,
    object: 'chat.completion',
    choices: done,
    ...(usage === undefined ? {} : { usage }),
  };
}

function gather(choices: Map<number, Gathered>, choice: JsonObject): void {
  const index = choice['index'] as number;
  const delta = choice['delta'] as JsonObject;
  let known = choices.get(index);
  if (known === undefined) {
    assert.equal(delta['role'], 'assistant', 'the role comes first');
    known = { message: { role: 'assistant', content: '', refusal: null }, calls: [], finish: null };
    choices.set(index, known);
  }
  assert.equal(known.finish, null, 'nothing comes after a finish');
  known.finish = choice['finish_reason'] as Json;
  const { message, calls } = known;
  for (const [name, value] of Object.entries(delta)) {
    if (name === 'role' || value === null) continue;
    if (name === 'tool_calls') for (const call of list(value)) gatherCall(calls, call);
    else if (name === 'thinking_blocks') {
      assert.equal(message[name], undefined, 'thinking blocks come in one delta');
      message[name] = list(value).map(({ index: at, ...block }, position) => {
        assert.equal(at, position);
        return block;
      });
    } else if (typeof value === 'string') message[name] = `${message[name] ?? ''}${value}`;
    else message[name] = value;
  }
}

function gatherCall(calls: JsonObject[], call: JsonObject): void {
  const { index, ...head } = call;
  const made = call['function'] as JsonObject;
  if (call['id'] !== undefined) {
    assert.equal(index, calls.length, 'calls are numbered one after another');
    calls.push({ ...head, function: { ...made } });
    return;
  }
  const known = calls[index as number]?.['function'];
  assert.ok(isJsonObject(known), 'a call has a head before its arguments');
  known['arguments'] = `${known['arguments']}${made['arguments'] ?? ''}`;
}
