import type { Presenter } from '../chat/presenter.ts';
import { Transcript } from '../chat/transcript.ts';
import type { Failure } from '../core/outcome.ts';
import type { WireHeaders } from '../providers/retry-after.ts';
import { attempt } from './attempt.ts';
import type { AttemptEnd, AttemptRequest, Authorized } from './attempt-request.ts';
import { authorize, whileWanted } from './authorize.ts';
import type { CallContext } from './call.ts';
import { Continuation } from './continuing/continuation.ts';
import { Facts } from './facts.ts';
import type { Call } from './prepare-call.ts';
import type { Lane, Target } from './registry.ts';
import type { StreamWishes } from './stream-roles.ts';
import { plainFailure } from './transport-failure.ts';
import { PLAIN_ANSWER, type PlainAnswer } from './whole-answer.ts';
import { tellWhole } from './whole-stream.ts';

/** One try of a visit. */
export interface OneTry {
  target: Target;
  context: CallContext;
  call: Call;
  lane: Lane;
  /** What chunks are put into words by; null where the answer is relayed. */
  presenter: Presenter | null;
  /** When the whole request is over, on the clock's time. */
  deadline: number;
  /** A stream that had begun is over. `heldUp`: its reader was slow. */
  over(failure: Failure | null, heldUp: boolean): void;
}

/** Sends it, with what authorizes it. */
export function sendTry(one: OneTry): Promise<AttemptEnd> {
  const { target, lane, call, context } = one;
  const { requestId, tries, redact } = context;
  const headers = headersOf(one, `${requestId}-${tries.length}`);
  const dispatch = (authorized: Authorized, more: Pick<AttemptRequest, 'reauthorize'> = {}) =>
    asAsked(one, attempt({ ...attemptRequest(one, authorized), ...more }));
  const { credentials } = lane;
  if (credentials === null) return dispatch({ headers, redact });
  const { origin } = target;
  const path = pathOf(one);
  const authorizeFor = (body: readonly Buffer[]) =>
    authorize(credentials, { origin, path, headers, body }, redact);
  return whileWanted(authorizeFor(call.prepared.body), context.cancellation).then((authorized) =>
    'failure' in authorized
      ? { kind: 'failed', failure: authorized.failure, heldUp: false }
      : dispatch(authorized, { reauthorize: authorizeFor }),
  );
}

/** To a client that wants a stream, a whole answer is told as one: it was asked for so, or the host has no streams. */
function asAsked(one: OneTry, end: Promise<AttemptEnd>): Promise<AttemptEnd> {
  if (!one.context.request.streaming) return end;
  return end.then((ended) => (ended.kind === 'plain' ? told(one, ended.answer) : ended));
}

function told(one: OneTry, answer: PlainAnswer): AttemptEnd {
  const { call, context, deadline } = one;
  // In other words than those of chat it cannot be told, nor where the client has the beginning of another one.
  if ((call.relayed && context.request.dialect !== 'chat') || context.continuing !== null) {
    return { kind: 'failed', failure: plainFailure('broken_body', PLAIN_ANSWER), heldUp: false };
  }
  const { clock, cancellation } = context;
  const over = (failure: Failure | null) => one.over(failure, false);
  return tellWhole(answer, { wishes: wishesOf(one), clock, cancellation, deadline, over });
}

function pathOf({ target, call }: OneTry): string {
  return `${target.basePath}${call.prepared.path}`;
}

function attemptRequest(one: OneTry, { headers, redact }: Authorized): AttemptRequest {
  const { request, clock, cancellation, events, memory, newId } = one.context;
  const { settings, dispatcher, origin } = one.target;
  const { prepared } = one.call;
  const { upstream } = one.lane;
  return {
    dispatcher,
    origin,
    path: pathOf(one),
    headers,
    body: prepared.body,
    reader: prepared.answer(new Facts(settings.model, clock.wall(), newId, memory.remember)),
    streaming: request.streaming && one.call.whole !== true ? wishesOf(one) : null,
    timeouts: settings.timeouts,
    deadline: one.deadline,
    clock,
    cancellation,
    redact,
    ...(one.target.readsHeadroom ? { said: (said: WireHeaders) => upstream.headroom.read(said) } : {}),
    dropped: () => events.dropped(upstream),
    streamOver: (failure, heldUp) => {
      if (failure !== null && failure.kind !== 'client_gone' && failure.kind !== 'superseded')
        events.interrupted(upstream);
      one.over(failure, heldUp);
    },
  };
}

function wishesOf(one: OneTry): StreamWishes {
  const { context, presenter } = one;
  const { settings } = one.target;
  const { request, priceOf } = context;
  const n = Object.hasOwn(settings.overrideParams, 'n')
    ? settings.overrideParams['n']
    : request.body.value['n'];
  const choices = typeof n === 'number' && n > 1 ? n : 1;
  return {
    choices,
    wantsUsage: request.wantsUsage,
    named: request.dialect !== 'chat',
    // Only OpenAI's chunks have a place for it.
    price: request.dialect === 'chat' ? (priceOf?.(settings) ?? null) : null,
    present: presenter === null ? null : (chunk) => presenter.chunk(chunk),
    transcript: choices === 1 ? transcriptOf(one) : null,
    continuation: continuationOf(one),
  };
}

/** Null: nobody goes on with this stream if it breaks. */
function transcriptOf({ target, context, call }: OneTry): Transcript | null {
  if (target.settings.midStream !== 'continue') return null;
  if (context.continuing !== null) return context.continuing.told.fork();
  // Of events in other dialects nothing is noted.
  return call.relayed && context.request.dialect !== 'chat' ? null : new Transcript();
}

function continuationOf({ target, context, call }: OneTry): Continuation | null {
  const { continuing, request } = context;
  if (continuing === null || call.how === null) return null;
  const { wantsUsage } = request;
  const echoes = call.prepared.echoes === true;
  return new Continuation({ continuing, settings: target.settings, how: call.how, echoes, wantsUsage });
}

function headersOf({ lane, call, context }: OneTry, tryId: string): string[] {
  const headers = [...lane.headers, 'x-request-id', tryId];
  const { passedHeaders, request } = context;
  const ofDialect = call.relayed ? request.headers : [];
  const ofWhole = call.whole === true ? ['accept', 'application/json'] : [];
  // The provider's own headers win, and none goes out twice.
  for (const more of [call.prepared.headers, ofWhole, passedHeaders, ofDialect]) {
    for (let at = 0; at < more.length; at += 2) {
      const name = more[at] as string;
      if (!hasHeader(headers, name)) headers.push(name, more[at + 1] as string);
    }
  }
  if (!hasHeader(headers, 'user-agent')) headers.push('user-agent', 'spillway');
  return headers;
}

/** `headers`: name, value, name, value … Names in lower case. */
function hasHeader(headers: readonly string[], name: string): boolean {
  for (let at = 0; at < headers.length; at += 2) if (headers[at] === name) return true;
  return false;
}
