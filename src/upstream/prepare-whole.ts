import type { Failure } from '../core/outcome.ts';
import { Unsupported } from '../providers/adapter.ts';
import type { CallContext, CallRequest } from './call.ts';
import { type Call, type Preparing, prepareCall } from './prepare-call.ts';
import type { Target } from './registry.ts';

/** A target that refused a stream for overload and gave the same answer whole is asked for whole ones so long. Milliseconds. */
export const WHOLE_FOR = 60_000;

/** What says of a chat that it is to be streamed, and how. */
const AS_STREAM = new Map([
  ['stream', null],
  ['stream_options', null],
]);

/** As `prepareCall`, but for the whole answer where the target's streams are known to be refused. */
export function prepareFor(target: Target, context: CallContext, again: boolean): Call | Promise<Call> {
  const mayBeWhole = context.request.streaming && context.continuing === null;
  if (!mayBeWhole || context.clock.now() >= target.wholeUntil) return prepareCall(target, context, again);
  return prepareWholeIfPossible(target, context, again);
}

async function prepareWholeIfPossible(target: Target, context: CallContext, again: boolean): Promise<Call> {
  return (await prepareWhole(target, context)) ?? prepareCall(target, context, again);
}

/** Is it for its being a stream, perhaps, that the call failed? What has begun as a stream goes on as one. */
export function mayBeFetchedWhole({ kind }: Failure, call: Call | null, context: CallContext): boolean {
  const { request, continuing } = context;
  return kind === 'overloaded' && request.streaming && continuing === null && call?.whole !== true;
}

/**
 * A call for the whole answer to what was asked as a stream. It is put as a chat, for only that can be told as a stream; null where it cannot be, or
 * where that would lose something which the target would have understood in the client's own words.
 */
export async function prepareWhole(target: Target, context: CallContext): Promise<Call | null> {
  const { request } = context;
  const { dialect, headers, isTied } = request;
  const isChat = dialect === 'chat';
  const speaks = !isChat && target.adapter.speaks.has(dialect) && !target.lacks.has(dialect);
  if (speaks && (isTied === true || (headers?.length ?? 0) > 0)) return null;
  try {
    const asChat = isChat ? target : { ...target, lacks: new Set([...target.lacks, dialect]) };
    const call = await prepareCall(asChat, unstreamedIn(context));
    return speaks && call.prepared.dropped.length > 0 ? null : { ...call, whole: true };
  } catch (error) {
    if (error instanceof Unsupported) return null;
    throw error;
  }
}

function unstreamedIn(context: CallContext): Preparing {
  const { request, continuing, memory, media, tenant, cancellation, startedAt, slept, clock } = context;
  const parts = { continuing, memory, media, tenant, cancellation, startedAt, slept, clock };
  return { ...parts, request: unstreamed(request) };
}

function unstreamed(request: CallRequest): CallRequest {
  const body = request.chat().changed(AS_STREAM);
  return { ...request, body, streaming: false, chat: () => body };
}
