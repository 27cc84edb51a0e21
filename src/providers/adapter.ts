import type { ModelCapabilities } from '../capabilities/capabilities.ts';
import type { Recall } from '../chat/extensions.ts';
import { Unsupported } from '../chat/unsupported.ts';
import type { AnswerFacts } from '../chat/writer.ts';
import type { JsonObject } from '../core/json.ts';
import type { JsonBody } from '../core/json-body.ts';
import type { Steps } from '../core/json-print.ts';
import type { Usage } from '../core/usage.ts';
import type { Identity } from '../credentials/credentials.ts';
import type { EventReader } from './event-reader.ts';
import type { Output } from './openai/output.ts';
import type { WireHeaders } from './retry-after.ts';
import type { ProviderSettings } from './settings.ts';

/**
 * In whose words a request is put. `chat`: OpenAI's chat completions, which every adapter that answers chats takes; `responses`: OpenAI's responses;
 * `messages`: Anthropic's; `count_tokens`: a question about such messages; `embeddings`: OpenAI's.
 */
export type Dialect = 'chat' | 'responses' | 'messages' | 'count_tokens' | 'embeddings';

/** A request for one target. */
export interface Ask {
  /** One that the adapter `speaks`. */
  dialect: Dialect;
  /** The client's, or what it was translated into. Never changed: see `JsonBody.with`, and `asked` for the overrides. */
  body: JsonBody;
  streaming: boolean;
  /** The target's model. */
  model: string;
  /** The target's, `model` left out: merged over what the client sent; null takes a parameter out. */
  overrideParams: JsonObject;
  /** What the target cannot take is an error (`Unsupported`), not dropped. */
  strict: boolean;
  /** Markers for the provider's prompt cache are to be placed where the client placed none. */
  cacheMarkers: boolean;
  capabilities: ModelCapabilities;
  provider: ProviderSettings;
  recall: Recall;
  /** The chat's last message is the beginning of the answer, which is to go on from there. Left out: the conversation is the client's own. */
  goesOn?: true;
}

/** What is sent, and how what comes back is read. */
export interface Prepared {
  /** After the base URL: begins with a slash; a query may follow. */
  path: string;
  /** Beside the headers that every call has: name, value … names in lower case. */
  headers: readonly string[];
  body: readonly Buffer[];
  /** What makes `body`, of which nothing is there before, in steps. Left out: all of it is there. */
  printing?: Steps;
  /** What the client asked for and the target cannot take, by the client's names; in the order of the request. */
  dropped: readonly string[];
  /** Of a request that `goesOn`: the answer repeats the beginning that it was given. Left out: it should not. */
  echoes?: boolean;
  /** Begins to read the answer of one try. */
  answer(facts: AnswerFacts): AnswerReader;
}

/** Reads the answer of one try. Stateful. Only of answers with a status below 300; all others are errors, which `failure.ts` reads. */
export interface AnswerReader {
  /** A whole answer's body, or the next of several that belong together. `bytes`: as it came. */
  plain(value: JsonObject, bytes: Buffer, headers: WireHeaders): PlainReading;
  /** How its stream is read; asked for once, before the first byte. */
  stream(headers: WireHeaders): StreamFormat;
}

export type PlainReading =
  /** `body`: what goes to a client of this dialect, `value` as bytes. `output` is asked where `usage` does not tell all. */
  | { kind: 'answer'; value: JsonObject; body: Buffer; usage: Usage | null; output(): Output }
  /** An error that came with status 200, whole. */
  | { kind: 'error'; error: JsonObject }
  /** It is no answer. `why`, for people, quotes nothing of it. */
  | { kind: 'broken'; why: string }
  /** The rest is to be asked for: the same call with this body. */
  | { kind: 'again'; body: readonly Buffer[] };

export type StreamFormat =
  /** Events pass as the bytes they came in, in the client's dialect. */
  | { kind: 'relayed'; reader: EventReader }
  /** Events become chunks of OpenAI's chat completions. */
  | { kind: 'translated'; translator: StreamTranslator; decoder?: (sink: FrameSink) => FrameDecoder };

/** Where a translator puts what it makes of an event. */
export interface ChunkSink {
  /** The next chunk; the translator's to give away. */
  chunk(chunk: JsonObject): void;
  /** What the answer has taken so far: all that is known of a stream that breaks. `ChunkWriter` tells it. */
  usage(usage: Usage): void;
  /** The upstream said that it failed: `{"error":{…}}` or whatever shape it has; `failure.ts` reads it. */
  error(error: JsonObject): void;
  /** The event was no JSON, or damaged. Dropped and counted; inside a tool call the stream is broken by it. */
  invalid(): void;
  /** JSON, but nothing that a translator knows: dropped and counted. Not for pings and for what is known to mean nothing. */
  foreign(): void;
  /** A damaged stream that cannot go on. `why` is for people. */
  broken(why: string): void;
  /** All has come, usage included; what follows does not matter. */
  done(): void;
}

/**
 * From an upstream's events to chunks. One for each try. Usual: a `ChunkWriter` whose `target` is set to the sink of each call, and whose `end()` is called before
 * `sink.done()` and in `end`.
 */
export interface StreamTranslator {
  /** One event: its data and its type ('' if it has none). */
  event(data: string, type: string, sink: ChunkSink): void;
  /**
   * The body has ended as it should by the rules of HTTP. What is not finished now is broken, which the caller sees by itself: a finish that
   * did not come must not be made up. May return the body of the call that brings the rest.
   */
  end(sink: ChunkSink): readonly Buffer[] | null;
}

/** Takes the events that a decoder finds. */
export interface FrameSink {
  event(data: string, type: string): void;
}

/** Bytes to events, where they are not server-sent ones. Throws for damaged bytes. */
export interface FrameDecoder {
  push(chunk: Buffer): void;
  /** Throws if bytes are left over. */
  end(): void;
  /** Looks at nothing more. */
  stop(): void;
}

/** One way to speak to a provider. Pure, but for `load`. */
export interface Adapter {
  /** The dialects that it takes; the others reach it as chat, where they can be translated at all. */
  readonly speaks: ReadonlySet<Dialect>;
  /** Does a call need a key? `optional`: `identity` serves where there is none. */
  readonly needsKey: 'yes' | 'no' | 'optional';
  /** What it reports of tokens is true, a nought included. Left out: some of its hosts report noughts for what they did not count. */
  readonly countsSurely?: true;
  /** Who it is called as without a key. */
  readonly identity: Identity | null;
  /** Where it is, without a trailing slash; a text that begins with "missing" names the key of the configuration that is needed to know. */
  baseUrl(
    provider: Pick<ProviderSettings, 'region' | 'resource' | 'project' | 'location' | 'apiVersion'>,
  ): string;
  /** The headers of a key. Names in lower case. */
  keyHeaders(secret: string): Readonly<Record<string, string>>;
  /** Of a picture or file that is named by URL: is it to be fetched and sent along? Left out: never, the provider does it. */
  fetches?(url: string): boolean;
  /** Brings in what it only needs if it is configured. Rejects with a message for the operator. */
  load?(): Promise<void>;
  /** Throws `Unsupported` for what changes the meaning and cannot be sent. */
  prepare(ask: Ask): Prepared;
}

export { Unsupported } from '../chat/unsupported.ts';

/** The request's parameters with the target's overrides; `model` is not touched. A copy of the top level. */
export function asked({ body, overrideParams }: Pick<Ask, 'body' | 'overrideParams'>): JsonObject {
  const merged: JsonObject = { ...body.value };
  for (const [name, value] of Object.entries(overrideParams)) {
    if (value === null) delete merged[name];
    else merged[name] = value;
  }
  return merged;
}

/** What a target cannot take of a request: collected, or an error where the target is strict. */
export class Drops {
  readonly names: string[] = [];
  readonly #strict: boolean;

  constructor(strict: boolean) {
    this.#strict = strict;
  }

  /** A soft parameter: it goes, and is named. */
  drop(param: string, why = `The parameter '${param}' is not supported.`): void {
    if (this.#strict) throw new Unsupported(param, why);
    if (!this.names.includes(param)) this.names.push(param);
  }
}
