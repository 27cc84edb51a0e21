import type { Book } from '../accounting/book.ts';
import type { RequestEntry } from '../accounting/request-entry.ts';
import type { Principal } from '../auth/keyring.ts';
import { ApiError, internalError, shuttingDown } from '../core/errors.ts';
import { DIALECTS } from '../dialects/dialects.ts';
import { authenticateAgain } from './authenticate.ts';
import { firstHeaders, sendError } from './errors.ts';
import type { Exchange } from './exchange.ts';
import { IDEMPOTENCY_HEADER, type OnceContext, type OnceExchange, once } from './idempotent.ts';
import type { Job } from './job.ts';
import { isLarge, lookOverLarge, othersTurn } from './large-body.ts';
import { type Live, type LiveModel, mayUse } from './live.ts';
import { closeResumable, type ResumableContext, resumable, wantsToResume } from './resumable.ts';
import { Router } from './route.ts';
import type { Services } from './services.ts';
import { Spending } from './spending.ts';

/**
 * One request to a model, in whichever dialect, from its arrival to its line in the log:
 * authenticate > read > find the model > reserve > route > answer > settle.
 * Whatever goes wrong becomes an answer, and the book is closed once. Rejects only with a mistake of ours, which has been answered as well.
 */
export async function serve(exchange: Exchange, live: Live, services: Services): Promise<void> {
  const entry = newEntry(exchange);
  let to = exchange;
  let kept: OnceExchange | null = null;
  let job: Job | null = null;
  let router: Router | null = null;
  try {
    const principal = authenticateAgain(exchange, live, services.keyring());
    entry.principal = principal;
    const large = isLarge(exchange.body);
    if (large) await lookOverLarge(exchange.body);
    job = read(exchange, live, services, entry, principal);
    if (large) await othersTurn();
    if (job.request.streaming && wantsToResume(exchange))
      to = resumable(exchange, resumableContext(services, principal));
    if (exchange.header(IDEMPOTENCY_HEADER) !== undefined) {
      kept = await once(to, onceContext(live, services, job));
      if (kept === null) return;
    }
    const reserving = job.spending.reserve(job.id);
    if (reserving !== undefined) await reserving;
    if (large) await othersTurn();
    router = new Router(kept ?? to, live, services, job);
    const bringing = router.bring(await router.find());
    if (bringing !== undefined) await bringing;
  } catch (error) {
    const isMistake = !(error instanceof ApiError);
    // Nothing that was answered before is to be given again.
    if (isMistake) kept?.free();
    const quota = job?.spending.refusedBy ?? null;
    if (quota !== null) entry.quota = quota;
    refuse(kept ?? to, entry, error);
    if (isMistake) throw error;
  } finally {
    try {
      settle(job, router);
    } finally {
      close(kept, to, entry, services.book);
    }
  }
}

/** The request has taken what it has taken: that is booked even where its way had a mistake of ours in the end. */
function settle(job: Job | null, router: Router | null): void {
  try {
    router?.end();
  } finally {
    job?.spending.settle(job.entry.spent, job.entry.target, job.entry.tries);
  }
}

/** Nothing is left waiting for an answer, and the request is in the books: by what is said of it now, and whatever becomes of the others of these. */
function close(kept: OnceExchange | null, to: Exchange, entry: RequestEntry, book: Book): void {
  try {
    kept?.close();
  } finally {
    try {
      closeResumable(to);
    } finally {
      book.close(entry);
    }
  }
}

/**
 * What is asked for, of which model, and who pays for it. By itself: what an async function has in its hands it keeps until it is over, and the body is to be
 * let go of before that.
 */
function read(
  exchange: Exchange,
  live: Live,
  services: Services,
  entry: RequestEntry,
  principal: Principal,
): Job {
  const request = DIALECTS[exchange.dialect].read(exchange.body);
  entry.stream = request.streaming;
  entry.model = shortened(request.model);
  if (live.logBodies) entry.prompt = services.redact(exchange.body.toString());
  const model = findModel(request.model, principal, live, entry);
  entry.modelLabel = model.label;
  const { dialect, body } = request;
  const spender = { principal, model, asked: request.model, dialect, body: body.value };
  const spending = new Spending(spender, live, services.spending);
  return { id: services.newId(), principal, request, model, entry, spending };
}

function resumableContext({ replay, detached, newId }: Services, { tenant }: Principal): ResumableContext {
  return { tenant: tenant.id, streams: replay.streams, detached, newId };
}

function onceContext(
  live: Live,
  { clock, replay, draining }: Services,
  { principal, model, entry }: Job,
): OnceContext {
  return {
    tenant: principal.tenant.id,
    claims: replay.claims,
    settings: live.idempotency,
    waitFor: model.longest,
    clock,
    draining,
    entry,
  };
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

/** A request that is refused before anything was sent; in the books all the same. `isAddedUp`: its line in the log is one for many. */
export function refuseRequest(
  exchange: Exchange,
  services: Services,
  error: ApiError,
  isAddedUp: boolean,
): void {
  const entry = newEntry(exchange);
  if (isAddedUp) entry.isAddedUp = true;
  try {
    refuse(exchange, entry, error);
  } finally {
    services.book.close(entry);
  }
}

/** A request that has ended before it was begun, nearly always because its client left; in the books all the same. */
export function closeUnbegun(exchange: Exchange, services: Services): void {
  const entry = newEntry(exchange);
  if (exchange.cancellation.reason === 'client_gone') {
    entry.status = 499;
    entry.outcome = 'client_gone';
  } else {
    const { status, code } = shuttingDown();
    entry.status = status;
    entry.error = code;
  }
  services.book.close(entry);
}

function refuse(exchange: Exchange, entry: RequestEntry, error: unknown): void {
  const known = error instanceof ApiError ? error : internalError();
  entry.status = known.status;
  entry.error = known.code;
  if (exchange.cancellation.reason === 'client_gone') {
    entry.status = 499;
    entry.outcome = 'client_gone';
  }
  sendError(exchange, known, firstHeaders(exchange));
}
