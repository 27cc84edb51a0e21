import type { RequestEntry } from '../accounting/request-entry.ts';
import type { Cancellation } from '../core/cancellation.ts';
import type { Clock } from '../core/clock.ts';
import { ApiError, shuttingDown, storeAway } from '../core/errors.ts';
import { isLarge } from '../core/turns.ts';
import type { Claim, Claimed, Claims, Running, Wanted } from '../replay/claims.ts';
import type { KeptAnswer } from '../replay/kept-answer.ts';
import type { IdempotencySettings } from '../replay/settings.ts';
import { StateUnavailable } from '../state/unavailable.ts';
import { firstHeaders } from './errors.ts';
import type { Exchange } from './exchange.ts';
import { addHeaders } from './header-list.ts';
import { RecordedExchange } from './recorded-exchange.ts';

export const IDEMPOTENCY_HEADER = 'idempotency-key';

/** Printable ASCII. Characters: 1 to 255. */
const KEY = /^[ -~]{1,255}$/;

/** What the client did wrong would be wrong again. All else that is no success may be better the next time. */
const STAYS_WRONG: ReadonlySet<number> = new Set([400, 404, 405, 410, 413, 414, 415, 422]);

/** How often it is asked whether a request has ended that runs in another gateway: first, by how much later each time, at last. Milliseconds. */
const POLL = { first: 50, growth: 1.5, last: 500 };

/** When one that could not be waited for any longer is worth being asked for again. Milliseconds. */
const ASK_AGAIN = 1000;

export interface OnceContext {
  tenant: string;
  claims: Claims;
  settings: IdempotencySettings;
  /** For how long after it was read a request may wait for one that runs already. Milliseconds. */
  waitFor: number;
  clock: Clock;
  /** Cancelled when the process takes no more requests. */
  draining: Cancellation;
  /** Of this request. What it says of the outcome when the exchange is closed tells whether a stream came to its end. */
  entry: RequestEntry;
}

/**
 * Lets one of all requests of a tenant with the same `Idempotency-Key` run, whichever gateway they come to: it is to answer to the exchange that this
 * resolves to, and to close it. All others are given the answer that was given to that one, and there is nothing left to do for them: null. One that fails in
 * a way that may be over the next time is as if it had never been. Rejects with an ApiError where the client is to be told something else.
 */
export async function once(exchange: Exchange, context: OnceContext): Promise<OnceExchange | null> {
  const { claims, clock, waitFor, draining, entry } = context;
  const asked = wantedBy(exchange, context);
  const wanted = asked instanceof Promise ? await asked : asked;
  const deadline = exchange.readAt + waitFor;
  let wait = POLL.first;
  let elsewhere: number | undefined;
  for (;;) {
    const found = await ask(claims, wanted, elsewhere);
    switch (found.kind) {
      case 'claimed':
        return new OnceExchange(exchange, found.claim, context);
      case 'done':
        replay(exchange, found.answer, entry);
        return null;
      case 'other_body': {
        const message =
          'This `Idempotency-Key` was used for another request. Take a new key for each request, and the same one only to send the same again.';
        throw new ApiError('idempotency_key_reused', message);
      }
    }
    const from = clock.now();
    const most = deadline - from;
    if (most <= 0) {
      const message =
        'The request with this `Idempotency-Key` that came first is still under way. Its answer will be found under the same key.';
      throw new ApiError('idempotency_key_in_use', message, { retryAfterMs: ASK_AGAIN });
    }
    const ms = found.over === null ? Math.min(wait, most) : most;
    const { cancellation } = exchange;
    // What runs here comes to its end before this gateway does, and where nothing is shared its answer is nowhere else.
    const answer = await endOf(
      found,
      ms,
      clock,
      found.over === null ? [cancellation, draining] : [cancellation],
    );
    entry.waitedMs += clock.now() - from;
    if (cancellation.reason === 'client_gone') {
      entry.status = 499;
      entry.outcome = 'client_gone';
      return null;
    }
    if (answer !== null) {
      replay(exchange, answer, entry);
      return null;
    }
    if (cancellation.reason !== null || draining.reason !== null) throw shuttingDown();
    if (found.over === null) elsewhere = found.until;
    wait = Math.min(POLL.last, wait * POLL.growth);
  }
}

/** By itself, as `read` in serve.ts: the body is not to be kept for as long as the answer comes. */
function wantedBy(exchange: Exchange, { claims, tenant }: OnceContext): Wanted | Promise<Wanted> {
  const key = keyOf(exchange);
  const what = [exchange.dialect, exchange.body];
  return isLarge(exchange.body) ? claims.wantedOfLarge(tenant, key, what) : claims.wanted(tenant, key, what);
}

function keyOf(exchange: Exchange): string {
  const key = exchange.header(IDEMPOTENCY_HEADER) ?? '';
  if (KEY.test(key)) return key;
  throw new ApiError(
    'invalid_value',
    'The header `Idempotency-Key` must be 1 to 255 printable ASCII characters.',
    { param: 'Idempotency-Key' },
  );
}

async function ask(claims: Claims, wanted: Wanted, elsewhere: number | undefined): Promise<Claimed> {
  try {
    return await claims.claim(wanted, elsewhere);
  } catch (error) {
    if (!(error instanceof StateUnavailable)) throw error;
    throw storeAway(
      'It cannot be found out now whether this `Idempotency-Key` was used before: the store that knows is away.',
    );
  }
}

/** The exchange of the request that runs: its answer is for all who ask the same. */
export class OnceExchange extends RecordedExchange {
  readonly #claim: Claim;
  readonly #ttl: number;
  readonly #entry: RequestEntry;

  constructor(inner: Exchange, claim: Claim, { settings, clock, entry }: OnceContext) {
    super(inner, settings.maxBody, clock.now());
    this.#claim = claim;
    this.#ttl = settings.ttl;
    this.#entry = entry;
  }

  /** A mistake of ours was in the way: nothing that was answered is to be given again. */
  free(): void {
    this.#claim.free();
  }

  /** The work has ended, whatever came of it. */
  close(): void {
    const answer = isToBeKept(this, this.#entry) ? this.answer() : null;
    if (answer === null) this.#claim.free();
    else this.#claim.finish(answer, this.#ttl);
  }
}

function isToBeKept({ status, streamed }: RecordedExchange, { outcome }: RequestEntry): boolean {
  // One that broke had status 200, too.
  if (streamed) return outcome === 'ok';
  return (status >= 200 && status < 300) || STAYS_WRONG.has(status);
}

function replay(exchange: Exchange, answer: KeptAnswer, entry: RequestEntry): void {
  const { status, streamed, target, body } = answer;
  entry.replayed = true;
  entry.status = status;
  entry.outcome = status < 400 ? 'ok' : 'invalid_request';
  entry.target = target;
  const headers = firstHeaders(exchange, answer.headers['content-type']);
  addHeaders(headers, answer.headers, (name) => name !== 'content-type');
  headers.push('x-spillway-replayed', 'true');
  if (!streamed) {
    exchange.send(status, headers, body);
    return;
  }
  // All of it is in memory already: there is nothing to hold back for a slow client.
  const response = exchange.stream(headers, () => {});
  response.write(Buffer.from(body));
  response.end();
}

/** Resolves when it has ended here, the time is over, or one of these is cancelled: to its answer, if there is one. */
function endOf(
  { over }: Running,
  ms: number,
  clock: Clock,
  cancellations: readonly Cancellation[],
): Promise<KeptAnswer | null> {
  return new Promise((resolve) => {
    const end = (answer: KeptAnswer | null) => {
      timer.cancel();
      for (const cancellation of cancellations) cancellation.remove(listener);
      resolve(answer);
    };
    const listener = { cancelled: () => end(null) };
    const timer = clock.schedule(ms, () => end(null));
    for (const cancellation of cancellations) cancellation.add(listener);
    void over?.then(end);
  });
}
