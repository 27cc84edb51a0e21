import type { Cancellation } from '../core/cancellation.ts';
import type { Usage } from '../core/usage.ts';
import type { Output } from '../providers/openai/output.ts';
import type { Pacer } from '../resilience/pacer.ts';
import type { CallContext } from './call.ts';
import type { Place, TokenCount } from './provider-limits.ts';
import type { Lane, Target } from './registry.ts';
import type { Socket } from './sockets.ts';
import type { Upstream } from './upstream.ts';

/** Leave to make a try, as far as its provider's limits, the pace of its upstream and the sockets to it go. */
export interface Entered {
  kind: 'entered';
  socket: Socket;
  /** What it holds of the provider's limits; null: there are none. */
  place: Place | null;
  /** The turn that it was given; null: there is no pace. */
  turn: { pacer: Pacer; givenAt: number } | null;
}

export type Entry =
  | Entered
  | Full
  /** While it waited, its key was told to be left alone. */
  | { kind: 'cooling' }
  | { kind: 'cancelled' };

/**
 * There is no room. `readyInMs`: until there may be; null: nobody knows, or there never will be. `againInMs`: it has waited already, and does not wait
 * on; another request may be worth it after so long.
 */
export interface Full {
  kind: 'full';
  readyInMs: number | null;
  againInMs?: number;
  why: string;
}

/** When a socket will be free that all the wait did not bring, nobody knows; worth another request. Milliseconds. */
const NEXT_SOCKET = 1000;

/** Leave for a try that need not wait for any, where there is nothing else to ask; null: see `enter`. */
export function enterAtOnce(
  { limiter, sockets }: Target,
  { upstream }: Lane,
  { tenant }: CallContext,
): Entered | null {
  if (limiter !== null || upstream.pacer !== null) return null;
  const socket = sockets.take(tenant);
  return socket === null ? null : { kind: 'entered', socket, place: null, turn: null };
}

/** No try is made of it after all. */
export function leave({ socket, place, turn }: Entered): void {
  place?.leave(null);
  socket.giveBack();
  turn?.pacer.giveBack(turn.givenAt);
}

/** Waits for the upstream's turn and for a socket, then takes a place within the provider's limits: nobody holds one of those while waiting. */
export async function enter(
  target: Target,
  { upstream }: Lane,
  context: CallContext,
  deadline: number,
): Promise<Entry> {
  const { clock, cancellation } = context;
  const { limiter, sockets } = target;
  const { pacer } = upstream;
  const startedAt = clock.now();
  const wait = pacer?.turn(deadline - startedAt, cancellation) ?? null;
  if (wait !== null) {
    const came = await wait;
    if ('cancelled' in came) return { kind: 'cancelled' };
    if ('fullForMs' in came) return { kind: 'full', readyInMs: came.fullForMs, why: TOO_FAST };
    context.slept.push({ startedAt, ms: came.waitedMs });
  }
  const turn = pacer === null ? null : { pacer, givenAt: clock.now() };
  let socket = sockets.take(context.tenant);
  if (socket === null) {
    socket = await waitForSocket(target, upstream, context, deadline);
    const instead = whatWaitingCameTo(socket, target, upstream, cancellation);
    if (instead !== null) {
      socket?.giveBack();
      turn?.pacer.giveBack(turn.givenAt);
      return instead;
    }
  }
  const entered: Entered = { kind: 'entered', socket: socket as Socket, place: null, turn };
  if (limiter === null) return entered;
  try {
    const want = limiter.countsTokens ? context.mayTake() : NOTHING;
    const place = await limiter.enter(want, context.newId());
    if ('fullForMs' in place) {
      leave(entered);
      return { kind: 'full', readyInMs: place.fullForMs, why: place.why };
    }
    entered.place = place;
  } catch (error) {
    leave(entered);
    throw error;
  }
  if (cancellation.reason === null) return entered;
  leave(entered);
  return { kind: 'cancelled' };
}

/** No longer than for a connection that is to be made: where all are in use this is what there is to wait for. */
async function waitForSocket(
  { sockets, settings }: Target,
  upstream: Upstream,
  { clock, cancellation, tenant, slept }: CallContext,
  deadline: number,
): Promise<Socket | null> {
  const startedAt = clock.now();
  const ms = Math.min(settings.timeouts.connect, deadline - startedAt);
  // As good as there, for whoever looks for the least busy.
  upstream.inFlight++;
  const socket = await sockets.wait(tenant, { clock, cancellation, ms });
  upstream.inFlight--;
  slept.push({ startedAt, ms: clock.now() - startedAt });
  return socket;
}

/** Why no try is made after the wait for a socket; null: it is. */
function whatWaitingCameTo(
  socket: Socket | null,
  { sockets }: Target,
  upstream: Upstream,
  { reason }: Cancellation,
): Entry | null {
  if (reason !== null) return { kind: 'cancelled' };
  if (socket === null) {
    const all = sockets.limit === 1 ? 'the only connection' : `all ${sockets.limit} connections`;
    const verb = sockets.limit === 1 ? 'is' : 'are';
    const why = `${all} to its provider (\`connections\`) ${verb} in use`;
    return { kind: 'full', readyInMs: null, againInMs: NEXT_SOCKET, why };
  }
  return upstream.cooldownLeft() > 0 ? { kind: 'cooling' } : null;
}

const NOTHING: TokenCount = { input: 0, output: 0 };
const TOO_FAST = 'it has refused requests as too many, and is asked less often for a while';

/** What is known of what an answer took. */
export interface Took {
  readonly usage: Usage | null;
  readonly passed: Readonly<Output> | (() => Readonly<Output>);
}

/** Of most languages and models, more or less. */
const CHARACTERS_A_TOKEN = 4;

/** What an answer took: by the provider's word, or else by what passed. */
export function tokensOf({ usage, passed }: Took, context: Pick<CallContext, 'mayTake'>): TokenCount {
  if (usage !== null && usage.input > 0) return { input: usage.input, output: usage.output };
  const { characters } = typeof passed === 'function' ? passed() : passed;
  return { input: context.mayTake().input, output: Math.ceil(characters / CHARACTERS_A_TOKEN) };
}
