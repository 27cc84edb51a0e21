import { noteThinkingBudget, thinkingBudget } from '../chat/thinking-budget.ts';
import { JsonBody } from '../core/json-body.ts';
import { inlineMedia, needsMedia } from '../media/inline.ts';
import { MediaError } from '../media/media-error.ts';
import { type Ask, type Dialect, type Prepared, Unsupported } from '../providers/adapter.ts';
import { withOneLimit } from '../providers/one-limit.ts';
import type { CallContext, CallRequest } from './call.ts';
import type { Target } from './registry.ts';

/** A request as it goes to one target. */
export interface Call {
  prepared: Prepared;
  /** In the client's own dialect: what comes back is the client's as it is. */
  relayed: boolean;
}

/**
 * Puts the request into the target's words; a promise only where something must be fetched first. Throws, or rejects with, `Unsupported` for what the target
 * cannot take. Nothing of the client's request changes.
 */
export function prepareCall(target: Target, context: CallContext): Call | Promise<Call> {
  const { request } = context;
  const { adapter } = target;
  const relayed = adapter.speaks.has(request.dialect) && !target.lacks.has(request.dialect);
  const dialect = relayed ? request.dialect : 'chat';
  const body = relayed ? request.body : request.chat();
  const fetches = dialect === 'chat' ? adapter.fetches : undefined;
  if (fetches === undefined || !needsMedia(body.value, fetches))
    return { prepared: ask(target, context, dialect, body), relayed };
  return fetchMedia(body, fetches, target, context).then((inlined) => ({
    prepared: ask(target, context, dialect, inlined),
    relayed,
  }));
}

/** What cannot be fetched may be there all the same for a target that fetches it itself. */
async function fetchMedia(
  body: JsonBody,
  fetches: (url: string) => boolean,
  { settings }: Target,
  context: CallContext,
): Promise<JsonBody> {
  const { request, media, tenant, cancellation, startedAt, clock } = context;
  const from = clock.now();
  try {
    const limits = { owner: tenant, cancellation, deadline: startedAt + settings.timeouts.total };
    const value = await inlineMedia(body.value, fetches, media, limits);
    const fetched = JsonBody.parse(Buffer.from(JSON.stringify(value)));
    noteThinkingBudget(fetched.value, thinkingBudget(value));
    return fetched;
  } catch (error) {
    if (!(error instanceof MediaError)) throw error;
    const param = error.param || 'messages';
    throw new Unsupported(request.name?.(param) ?? param, error.message);
  } finally {
    context.sleptMs += clock.now() - from;
  }
}

function ask(target: Target, { request, memory }: CallContext, dialect: Dialect, body: JsonBody): Prepared {
  const { settings, adapter, capabilities, provider } = target;
  const asked: Ask = {
    dialect,
    body,
    streaming: request.streaming,
    model: settings.model,
    overrideParams:
      dialect === 'chat' ? withOneLimit(settings.overrideParams, body.value) : settings.overrideParams,
    strict: settings.strictParams,
    cacheMarkers: settings.cacheMarkers,
    capabilities,
    provider,
    recall: memory.recall,
  };
  if (dialect === request.dialect) return adapter.prepare(asked);
  return withDropped(
    inClientsWords(() => adapter.prepare(asked), request),
    request.dropped ?? [],
    asked.strict,
  );
}

/** What an adapter says of a chat's parameters, by the client's own names; nothing of what the client never sent. */
function inClientsWords(prepare: () => Prepared, request: CallRequest): Prepared {
  const name = (param: string) => (request.name === undefined ? param : request.name(param));
  try {
    const prepared = prepare();
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
