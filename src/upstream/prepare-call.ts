import type { JsonObject } from '../core/json.ts';
import type { JsonBody } from '../core/json-body.ts';
import { inlineMedia, needsMedia } from '../media/inline.ts';
import { MediaError } from '../media/media-error.ts';
import { type Adapter, type Ask, type Dialect, type Prepared, Unsupported } from '../providers/adapter.ts';
import { withOneLimit } from '../providers/one-limit.ts';
import type { CallContext, CallRequest } from './call.ts';
import type { Continuing } from './continuing/continuing.ts';
import type { ContinueHow } from './continuing/contribution.ts';
import { isHeldToForm, mayPrefill, prefilled, shortened } from './continuing/prefilled.ts';
import { printLarge } from './print-large.ts';
import type { Target } from './registry.ts';

/** A request as it goes to one target. */
export interface Call {
  prepared: Prepared;
  /** In the client's own dialect: what comes back is the client's as it is. */
  relayed: boolean;
  /** How the target is asked to go on with an answer that has begun; null: it begins one. */
  how: ContinueHow | null;
  /** What is to be streamed to the client is asked for whole; left out: it is not. */
  whole?: true;
}

/** What is looked at of a call's context. By name: one that is an object of a class has nothing to be copied of what its methods give. */
export type Preparing = Pick<
  CallContext,
  'request' | 'continuing' | 'memory' | 'media' | 'tenant' | 'cancellation' | 'startedAt' | 'slept' | 'clock'
>;

/**
 * Puts the request into the target's words; a promise only where something must be fetched first, or takes several steps. Throws, or rejects with, `Unsupported` for what the target
 * cannot take. Nothing of the client's request changes. `again`: all of an answer that is gone on with is asked for, since it refuses what was told as the beginning of its own.
 */
export function prepareCall(target: Target, context: Preparing, again = false): Call | Promise<Call> {
  const call = inItsWords(target, context, again);
  if (call instanceof Promise) return call.then((fetched) => printLarge(fetched, context.cancellation));
  return call.prepared.printing === undefined ? call : printLarge(call, context.cancellation);
}

function inItsWords(target: Target, context: Preparing, again: boolean): Call | Promise<Call> {
  const { request, continuing } = context;
  const { adapter, settings } = target;
  const speaks = adapter.speaks.has(request.dialect) && !target.lacks.has(request.dialect);
  if (continuing !== null) return prepareToGoOn(target, context, continuing, again);
  if (speaks && request.dialect !== 'chat' && request.streaming && settings.midStream === 'continue') {
    const call = prepareToBeGoneOnWith(target, context);
    if (call !== null) return call;
  }
  const dialect = speaks ? request.dialect : 'chat';
  const body = withMedia(target, context, dialect, speaks ? request.body : request.chat());
  return body instanceof Promise
    ? withFetched(target, context, dialect, speaks, body)
    : { prepared: ask(target, context, dialect, body), relayed: speaks, how: null };
}

async function withFetched(
  target: Target,
  context: Preparing,
  dialect: Dialect,
  relayed: boolean,
  body: Promise<JsonBody>,
): Promise<Call> {
  return { prepared: ask(target, context, dialect, await body), relayed, how: null };
}

/** What was begun is gone on with as a chat: in other dialects a stream of another host's own would be another answer. */
function prepareToGoOn(
  target: Target,
  context: Preparing,
  continuing: Continuing,
  again: boolean,
): Call | Promise<Call> {
  const chat = withMedia(target, context, 'chat', context.request.chat());
  const relayed = context.request.dialect === 'chat';
  const prepare = (fetched: JsonBody): Call => {
    const mayGoOn = !again && mayPrefill(target, continuing.told);
    if (mayGoOn && !isHeldToForm(fetched.value, target.settings.overrideParams)) {
      const prepared = askToGoOn(target, context, continuing, fetched);
      if (prepared !== null) return { prepared, relayed, how: 'prefill' };
    }
    return { prepared: ask(target, context, 'chat', fetched), relayed, how: 'again' };
  };
  return chat instanceof Promise ? chat.then(prepare) : prepare(chat);
}

/** Null: it cannot be asked for like that. */
function askToGoOn(
  target: Target,
  context: Preparing,
  continuing: Continuing,
  chat: JsonBody,
): Prepared | null {
  const body = prefilled(chat, continuing);
  if (body === null) return null;
  const { overrideParams } = target.settings;
  const left = shortened(overrideParams, continuing.toldTokens);
  try {
    return ask(target, context, 'chat', body, { ...overrideParams, ...left });
  } catch (error) {
    if (error instanceof Unsupported) return null;
    throw error;
  }
}

/**
 * As a chat, though the target speaks the client's dialect: a stream that is relayed cannot be gone on with in another host's words. Null where something
 * would be lost on the way.
 */
function prepareToBeGoneOnWith(target: Target, context: Preparing): Call | null {
  const { request } = context;
  try {
    if ((request.headers?.length ?? 0) > 0 || request.isTied === true) return null;
    // A chat does not say which of them ended the answer, nor that one did.
    const stops = request.body.value['stop_sequences'];
    if (request.dialect === 'messages' && Array.isArray(stops) && stops.length > 0) return null;
    const chat = request.chat();
    const { fetches } = target.adapter;
    if (fetches !== undefined && needsMedia(chat.value, fetches)) return null;
    const prepared = ask(target, context, 'chat', chat);
    return prepared.dropped.length > 0 ? null : { prepared, relayed: false, how: null };
  } catch (error) {
    if (error instanceof Unsupported) return null;
    throw error;
  }
}

/** What it names by URL is fetched first for targets that do not fetch it. */
function withMedia(
  target: Target,
  context: Preparing,
  dialect: Dialect,
  body: JsonBody,
): JsonBody | Promise<JsonBody> {
  const fetches = dialect === 'chat' ? target.adapter.fetches : undefined;
  if (fetches === undefined || !needsMedia(body.value, fetches)) return body;
  return fetchMedia(body, fetches, target, context);
}

/** What cannot be fetched may be there all the same for a target that fetches it itself. */
async function fetchMedia(
  body: JsonBody,
  fetches: (url: string) => boolean,
  { settings }: Target,
  context: Preparing,
): Promise<JsonBody> {
  const { request, media, tenant, cancellation, startedAt, clock } = context;
  const from = clock.now();
  try {
    const limits = { owner: tenant, cancellation, deadline: startedAt + settings.timeouts.total };
    const value = await inlineMedia(body.value, fetches, media, limits);
    return body.changed(new Map([['messages', value['messages'] ?? []]]), true);
  } catch (error) {
    if (!(error instanceof MediaError)) throw error;
    const param = error.param || 'messages';
    throw new Unsupported(request.name?.(param) ?? param, error.message);
  } finally {
    context.slept.push({ startedAt: from, ms: clock.now() - from });
  }
}

/** `goingOn`: the overrides of a call that goes on with an answer; null: it begins one. */
function ask(
  target: Target,
  { request, memory }: Preparing,
  dialect: Dialect,
  body: JsonBody,
  goingOn: JsonObject | null = null,
): Prepared {
  const { settings, adapter, capabilities, provider } = target;
  const overrideParams = goingOn ?? settings.overrideParams;
  const asked: Ask = {
    dialect,
    body,
    streaming: request.streaming,
    model: settings.model,
    overrideParams: dialect === 'chat' ? withOneLimit(overrideParams, body.value) : overrideParams,
    strict: settings.strictParams,
    cacheMarkers: settings.cacheMarkers,
    capabilities,
    provider,
    recall: memory.recall,
  };
  if (goingOn !== null) asked.goesOn = true;
  if (dialect === request.dialect) return adapter.prepare(asked);
  return withDropped(inClientsWords(adapter, asked, request), request.dropped ?? [], asked.strict);
}

/** What an adapter says of a chat's parameters, by the client's own names; nothing of what the client never sent. */
function inClientsWords(adapter: Adapter, asked: Ask, request: CallRequest): Prepared {
  const name = (param: string) => (request.name === undefined ? param : request.name(param));
  try {
    const prepared = adapter.prepare(asked);
    const dropped = prepared.dropped.map(name).filter((one) => one !== null);
    return { ...prepared, dropped };
  } catch (error) {
    if (!(error instanceof Unsupported)) throw error;
    const param = name(error.param) ?? error.param;
    throw new Unsupported(param, error.message.replaceAll(`'${error.param}'`, `'${param}'`));
  }
}

/** What was lost on the way to a chat was dropped for this target as well. */
function withDropped(prepared: Prepared, names: readonly string[], strict: boolean): Prepared {
  const [first] = names;
  if (first === undefined) return prepared;
  if (strict) throw new Unsupported(first, `The parameter '${first}' is not supported.`);
  return { ...prepared, dropped: [...new Set([...names, ...prepared.dropped])] };
}
