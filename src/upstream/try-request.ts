import type { Presenter } from '../chat/presenter.ts';
import { Transcript } from '../chat/transcript.ts';
import type { CallContext } from './call.ts';
import { Continuation } from './continuing/continuation.ts';
import type { Call } from './prepare-call.ts';
import type { Lane, Target } from './registry.ts';
import type { StreamWishes } from './stream-roles.ts';

/** What is known of a try before it is sent. */
export interface Sending {
  readonly target: Target;
  readonly context: CallContext;
  readonly call: Call;
  /** What chunks are put into words by; null where the answer is relayed. */
  readonly presenter: Presenter | null;
}

/** What its client is to be given of a stream. */
export function wishesOf(one: Sending): StreamWishes {
  const { context, presenter } = one;
  const { settings } = one.target;
  const { request } = context;
  const n = Object.hasOwn(settings.overrideParams, 'n')
    ? settings.overrideParams['n']
    : request.body.value['n'];
  const choices = typeof n === 'number' && n > 1 ? n : 1;
  return {
    choices,
    wantsUsage: request.wantsUsage,
    named: request.dialect !== 'chat',
    // Only OpenAI's chunks have a place for it.
    price: request.dialect === 'chat' ? (context.priceOf?.(settings) ?? null) : null,
    present: presenter === null ? null : (chunk) => presenter.chunk(chunk),
    transcript: choices === 1 ? transcriptOf(one) : null,
    continuation: continuationOf(one),
  };
}

/** Null: nobody goes on with this stream if it breaks. */
function transcriptOf({ target, context, call }: Sending): Transcript | null {
  if (target.settings.midStream !== 'continue') return null;
  if (context.continuing !== null) return context.continuing.told.fork();
  // Of events in other dialects nothing is noted.
  return call.relayed && context.request.dialect !== 'chat' ? null : new Transcript();
}

function continuationOf({ target, context, call }: Sending): Continuation | null {
  const { continuing, request } = context;
  if (continuing === null || call.how === null) return null;
  const { wantsUsage } = request;
  const echoes = call.prepared.echoes === true;
  return new Continuation({ continuing, settings: target.settings, how: call.how, echoes, wantsUsage });
}

/** Name, value, name, value … The provider's own headers win, and none goes out twice. */
export function headersOf(lane: Lane, call: Call, context: CallContext, tryId: string): string[] {
  const headers = lane.headers.slice();
  headers.push('x-request-id', tryId);
  addHeaders(headers, call.prepared.headers);
  if (call.whole === true) addHeaders(headers, AS_WHOLE);
  addHeaders(headers, context.passedHeaders);
  const { headers: ofDialect } = context.request;
  if (call.relayed && ofDialect !== undefined) addHeaders(headers, ofDialect);
  addHeaders(headers, OUR_NAME);
  return headers;
}

const AS_WHOLE = ['accept', 'application/json'];
const OUR_NAME = ['user-agent', 'spillway'];

/** Those that are not there yet. */
function addHeaders(headers: string[], more: readonly string[]): void {
  for (let at = 0; at < more.length; at += 2) {
    const name = more[at] as string;
    if (!hasHeader(headers, name)) headers.push(name, more[at + 1] as string);
  }
}

/** `headers`: name, value, name, value … Names in lower case. */
function hasHeader(headers: readonly string[], name: string): boolean {
  for (let at = 0; at < headers.length; at += 2) if (headers[at] === name) return true;
  return false;
}
