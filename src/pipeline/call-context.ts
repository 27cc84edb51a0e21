import { DIALECTS } from '../dialects/dialects.ts';
import type { CallContext } from '../upstream/call.ts';
import { dialectHeaders } from './dialect-headers.ts';
import type { Exchange } from './exchange.ts';
import type { Job } from './job.ts';
import type { Live } from './live.ts';
import type { Services } from './services.ts';

/** What the tries of this request have in common. */
export function callContext(
  exchange: Exchange,
  live: Live,
  services: Services,
  { principal, request, spending }: Job,
): CallContext {
  const dialect = DIALECTS[request.dialect];
  return {
    request: Object.assign(request, { headers: dialectHeaders(exchange, request.dialect) }),
    passedHeaders: passedHeaders(exchange, live, request.streaming),
    requestId: services.newId(),
    startedAt: exchange.readAt,
    cancellation: exchange.cancellation,
    tries: [],
    tenant: principal.tenant.id,
    slept: [],
    continuing: null,
    clock: services.clock,
    chance: services.chance,
    redact: services.redact,
    events: services.events,
    mayTake: () => spending.mayTake(),
    priceOf: (target) => spending.priceOf(target),
    presenter: () => dialect.presenter(request, services.newId(), Math.floor(services.clock.wall() / 1000)),
    memory: services.memory.forTenant(principal.tenant.id),
    media: services.media,
    newId: services.newId,
  };
}

const TRACE_HEADERS = ['traceparent', 'tracestate'];

/** Of the client's headers, those that go on. Everything else of them ends here, its key above all. */
function passedHeaders(exchange: Exchange, live: Live, streaming: boolean): string[] {
  const headers = [
    'accept',
    exchange.header('accept') ?? (streaming ? 'text/event-stream' : 'application/json'),
  ];
  for (const name of TRACE_HEADERS) pass(exchange, name, headers);
  for (const name of live.forwardHeaders) pass(exchange, name, headers);
  return headers;
}

function pass(exchange: Exchange, name: string, headers: string[]): void {
  const value = exchange.header(name);
  if (value !== undefined) headers.push(name, value);
}
