import type { Book, RequestEntry } from '../accounting/book.ts';
import type { Keyring, Principal } from '../auth/keyring.ts';
import type { ReasoningMemory } from '../chat/reasoning-memory.ts';
import type { Chance, Clock } from '../core/clock.ts';
import { ApiError } from '../core/errors.ts';
import type { Redact } from '../core/redact.ts';
import type { ClientRequest } from '../dialects/dialect.ts';
import { DIALECTS } from '../dialects/dialects.ts';
import type { MediaFetcher } from '../media/media.ts';
import type { Dialect } from '../providers/adapter.ts';
import { walk } from '../routing/walk.ts';
import type { CallContext, CallEvents } from '../upstream/call.ts';
import type { Target } from '../upstream/registry.ts';
import { type Answer, cancelledFailure, pause, visit } from '../upstream/visit.ts';
import { answerEstimate, answerPlain, answerStream, answerWithoutAnswer } from './answer.ts';
import { authenticateAgain } from './authenticate.ts';
import { ContextSizes } from './context-sizes.ts';
import { type Estimated, isToEstimate, isToEstimateNow } from './count-tokens.ts';
import { idHeaders, sendError } from './errors.ts';
import type { Exchange } from './exchange.ts';
import { requestFacts } from './facts.ts';
import { type Live, type LiveModel, mayUse } from './live.ts';
import { Spending, type SpendingServices } from './spending.ts';
import type { Unanswered } from './verdict.ts';

/** What a request needs besides the configuration. */
export interface Services {
  clock: Clock;
  chance: Chance;
  redact: Redact;
  book: Book;
  events: CallEvents;
  memory: ReasoningMemory;
  media: MediaFetcher;
  /** Of the configuration that is at work now, whichever a request began with. */
  keyring(): Keyring;
  spending: SpendingServices;
  /** A new id, never used before: for tries, and for clients that bring none. */
  newId(): string;
}

/**
 * One request to a model, in whichever dialect, from its arrival to its line in the log:
 * authenticate > read > find the model > reserve > route > answer > settle.
 * Never rejects: whatever goes wrong becomes an answer, and the book is closed once.
 */
export async function serve(exchange: Exchange, live: Live, services: Services): Promise<void> {
  const entry = newEntry(exchange);
  let spending: Spending | null = null;
  try {
    const principal = authenticateAgain(exchange, live, services.keyring());
    entry.principal = principal;
    const request = DIALECTS[exchange.dialect].read(exchange.body);
    entry.stream = request.streaming;
    entry.model = shortened(request.model);
    if (live.logBodies) entry.prompt = services.redact(exchange.body.toString());
    const model = findModel(request.model, principal, live, entry);
    entry.modelLabel = model.label;
    const { dialect, body } = request;
    const spender = { principal, model, asked: request.model, dialect, body: body.value };
    spending = new Spending(spender, live, services.spending);
    await spending.reserve(services.newId());
    try {
      await route(exchange, live, services, { principal, request, model, entry, spending });
    } finally {
      spending.settle(entry.spent, entry.target, entry.tries);
    }
  } catch (error) {
    if (spending?.refusedBy != null) entry.quota = spending.refusedBy;
    refuse(exchange, entry, error);
    if (!(error instanceof ApiError)) throw error;
  } finally {
    services.book.close(entry);
  }
}

function newEntry(exchange: Exchange): RequestEntry {
  return {
    id: exchange.requestId,
    principal: exchange.principal,
    model: null,
    modelLabel: 'unknown',
    target: null,
    status: 0,
    outcome: 'refused',
    stream: false,
    tries: [],
    firstTokenMs: null,
    waitedMs: exchange.readAt - exchange.startedAt,
    startedAt: exchange.startedAt,
    spent: null,
  };
}

/** A name that a key may not use opens nothing: no upstream of its own, above all. */
function findModel(name: string, principal: Principal, live: Live, entry: RequestEntry): LiveModel {
  const listed = live.models.get(name);
  if (listed !== undefined) entry.modelLabel = listed.label;
  if (!mayUse(principal, name) && (listed !== undefined || live.isDirect(name))) {
    const message = `Your key may not use the model '${name}'.`;
    throw new ApiError('model_not_allowed', message, { param: 'model' });
  }
  const model = listed ?? live.direct(name);
  if (model !== null) return model;
  throw new ApiError(
    'model_not_found',
    `The model '${shortened(name)}' does not exist here. GET /v1/models lists those that do.`,
    { param: 'model' },
  );
}

/** No model's name is longer, and what a client makes up is not to fill the log. Characters. */
const LONGEST_NAME = 256;

function shortened(name: string): string {
  return name.length <= LONGEST_NAME ? name : `${name.slice(0, LONGEST_NAME)}…`;
}

interface Job {
  principal: Principal;
  request: ClientRequest;
  model: LiveModel;
  entry: RequestEntry;
  spending: Spending;
}

async function route(exchange: Exchange, live: Live, services: Services, job: Job): Promise<void> {
  const { request, entry, model } = job;
  const context = callContext(exchange, live, services, job);
  entry.tries = context.tries;
  const unanswered: Unanswered[] = [];
  const sizes = new ContextSizes();
  const answer = await walk<Target, Answer | Estimated>(model.tree, {
    facts: () => requestFacts(job.principal, request.body.value, exchange.header('x-spillway-metadata')),
    clock: services.clock,
    chance: services.chance,
    async call(target) {
      const { id } = target.settings;
      const why = job.spending.mayCall(target.settings) ? sizes.inTheWay(target) : 'unpriced';
      if (why !== null) {
        unanswered.push({ target: id, end: { kind: why } });
        return { kind: 'skipped', coolsInMs: null };
      }
      if (isToEstimate(request, target)) return { kind: 'answered', answer: { kind: 'estimated', target } };
      const end = await visit(target, context);
      if (end.kind === 'answered') return end;
      if (isToEstimateNow(request, end)) return { kind: 'answered', answer: { kind: 'estimated', target } };
      unanswered.push({ target: id, end });
      if (end.kind === 'unsupported') return { kind: 'skipped', coolsInMs: null };
      if (end.kind === 'failed') sizes.failed(target, end.failure);
      return end;
    },
    async waitFor({ settings }, ms) {
      const deadline = context.startedAt + settings.timeouts.total;
      if (ms > settings.retry.maxRetryAfter || context.clock.now() + ms >= deadline) return false;
      if (await pause(context, ms)) return true;
      const failure = cancelledFailure(context);
      unanswered.push({ target: settings.id, end: { kind: 'failed', failure, tries: 0, readyInMs: 0 } });
      return false;
    },
  });
  try {
    if (answer === null) answerWithoutAnswer(exchange, job, unanswered);
    else if (answer.kind === 'estimated') answerEstimate(exchange, answer.target, job);
    else if (answer.kind === 'plain') answerPlain(exchange, live, services, answer, job);
    else await answerStream(exchange, live, services, answer, job);
  } finally {
    entry.waitedMs += context.sleptMs + context.tries.reduce((sum, { ms }) => sum + ms, 0);
  }
}

function callContext(
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
    sleptMs: 0,
    clock: services.clock,
    chance: services.chance,
    redact: services.redact,
    events: services.events,
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
  for (const name of TRACE_HEADERS) pass(name);
  for (const name of live.forwardHeaders) pass(name);
  function pass(name: string) {
    const value = exchange.header(name);
    if (value !== undefined) headers.push(name, value);
  }
  return headers;
}

/** What a client says of its dialect in headers; of no use to targets that do not speak it. */
function dialectHeaders(exchange: Exchange, dialect: Dialect): string[] {
  if (dialect !== 'messages' && dialect !== 'count_tokens') return [];
  const beta = exchange.header('anthropic-beta');
  return beta === undefined ? [] : ['anthropic-beta', beta];
}

/** A request that is refused before anything was sent; in the books all the same. */
export function refuseRequest(exchange: Exchange, services: Services, error: ApiError): void {
  const entry = newEntry(exchange);
  refuse(exchange, entry, error);
  services.book.close(entry);
}

function refuse(exchange: Exchange, entry: RequestEntry, error: unknown): void {
  const known =
    error instanceof ApiError
      ? error
      : new ApiError('internal_error', 'Something went wrong in the gateway itself; its log says what.');
  entry.status = known.status;
  entry.error = known.code;
  if (exchange.cancellation.reason === 'client_gone') {
    entry.status = 499;
    entry.outcome = 'client_gone';
  }
  sendError(exchange, known, idHeaders(exchange));
}
