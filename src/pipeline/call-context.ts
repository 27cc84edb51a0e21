import type { Cancellation } from '../core/cancellation.ts';
import type { CallContext } from '../upstream/call.ts';
import type { Continuing } from '../upstream/continuing/continuing.ts';
import type { Exchange } from './exchange.ts';

const TRACE_HEADERS = ['traceparent', 'tracestate'];

/** Of the client's headers, those that go on: these, and `forwarded`. Everything else of them ends here, its key above all. */
export function passedHeaders(
  exchange: Exchange,
  forwarded: readonly string[],
  streaming: boolean,
): readonly string[] {
  const headers = [
    'accept',
    exchange.header('accept') ?? (streaming ? 'text/event-stream' : 'application/json'),
  ];
  for (const name of TRACE_HEADERS) pass(exchange, name, headers);
  for (const name of forwarded) pass(exchange, name, headers);
  return headers;
}

function pass(exchange: Exchange, name: string, headers: string[]): void {
  const value = exchange.header(name);
  if (value !== undefined) headers.push(name, value);
}

/** The same request, for tries that can be ended by themselves, or that go on with an answer. */
export function apart(
  context: CallContext,
  cancellation: Cancellation,
  continuing: Continuing | null,
): CallContext {
  return {
    request: context.request,
    passedHeaders: context.passedHeaders,
    requestId: context.requestId,
    startedAt: context.startedAt,
    cancellation,
    tries: context.tries,
    tenant: context.tenant,
    slept: context.slept,
    continuing,
    clock: context.clock,
    chance: context.chance,
    redact: context.redact,
    events: context.events,
    mayTake: () => context.mayTake(),
    priceOf: (target) => context.priceOf?.(target) ?? null,
    presenter: () => context.presenter(),
    memory: context.memory,
    media: context.media,
    newId: context.newId,
  };
}
