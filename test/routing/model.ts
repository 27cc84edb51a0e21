/**
 * How a tree is to be walked and what the client is to be told, written down a second time from the contract ("Outcomes", "The
 * tree"): slowly, over plain lists, and with nothing of the code that does it. The property tests hold the two against each other.
 */
import type { FailureKind } from '../../src/core/outcome.ts';
import type { HedgeSettings } from '../../src/routing/tree.ts';

export interface ModelFailure {
  kind: FailureKind;
  status: number | null;
}

/** How a call to a target ends. */
export type End =
  | { kind: 'answered' }
  /** `readyInMs`: when it may be asked again. */
  | { kind: 'failed'; failure: ModelFailure; readyInMs: number }
  | { kind: 'skipped'; coolsInMs: number | null; opensInMs: number | null };

export interface Leaf {
  /** `provider/model`, and no other leaf's. */
  id: string;
  first: End;
  /** How the call ends that is made after its cooldown, if there is one. */
  second: End;
  /** How long each call takes, in milliseconds. */
  takes: number;
  /** Its `max_retry_after`. */
  patience: number;
}

/** `codes` are a strategy's `on_status_codes`; null = it has none. */
export type Tree =
  | { mode: 'target'; leaf: Leaf }
  /** `hedge`: the model knows nothing of it. What would have been answered without must be answered with it. */
  | { mode: 'single' | 'fallback'; codes: number[] | null; children: Tree[]; hedge?: HedgeSettings }
  | { mode: 'loadbalance'; codes: number[] | null; children: Tree[]; weights: number[] }
  | {
      mode: 'conditional';
      children: Tree[];
      /** In order: does it match, and which child does it name? */
      conditions: { matches: boolean; child: number }[];
      default: number | null;
    };

type Codes = number[] | null;

/** What becomes of a request. */
export interface Story {
  /** Ids, in order. */
  calls: string[];
  waits: { id: string; ms: number }[];
  /** The id of the target that answered. */
  answeredBy: string | null;
  unanswered: { id: string; end: Exclude<End, { kind: 'answered' }> }[];
}

/** The column "next target?". */
const NEXT_TARGET: Readonly<Record<FailureKind, boolean>> = {
  invalid_request: false,
  context_too_long: true,
  content_filtered: false,
  target_misconfigured: true,
  credentials_refused: true,
  out_of_credit: true,
  rate_limited: true,
  overloaded: true,
  server_error: true,
  connection_failed: true,
  timeout: true,
  broken_body: true,
  client_gone: false,
  deadline: false,
  superseded: false,
  diverged: true,
  shutdown: false,
};

/** "takes the place of that column for every outcome that has a status …; outcomes without, and credentials refused, keep to the table" */
function letsGoOn(codes: Codes, { kind, status }: ModelFailure): boolean {
  if (codes === null || status === null || kind === 'credentials_refused' || status === 401)
    return NEXT_TARGET[kind];
  return codes.includes(status) || (status === 529 && codes.includes(503));
}

interface Place {
  leaf: Leaf;
  /** The `on_status_codes` of the strategies above it, the nearest first. A strategy is known by this very object. */
  above: { codes: Codes }[];
}

/** Has a failure ended the request, when nothing is left to go on to? A list that says no has; without one, the topmost strategy decides. */
function isOver(failure: ModelFailure, above: Place['above']): boolean {
  const top = above.at(-1);
  return (
    above.some(({ codes }) => codes !== null && !letsGoOn(codes, failure)) ||
    (top !== undefined && !letsGoOn(top.codes, failure))
  );
}

/** All the leaves that a request could come to, in the order in which it would. `draw` gives a number in [0, 1) for each choice by weight. */
function* leavesInTurn(
  tree: Tree,
  draw: () => number,
  above: Place['above'],
  mayGoOn: (strategy: { codes: Codes }) => boolean,
): Generator<Place> {
  if (tree.mode === 'target') {
    yield { leaf: tree.leaf, above };
  } else if (tree.mode === 'conditional') {
    const [match] = tree.conditions.filter(({ matches }) => matches);
    const chosen = tree.children[match?.child ?? tree.default ?? -1];
    if (chosen !== undefined) yield* leavesInTurn(chosen, draw, above, mayGoOn);
  } else {
    const inTurn =
      tree.mode === 'loadbalance' ? byLot(tree.children, tree.weights, draw) : tree.children.values();
    while (mayGoOn(tree)) {
      const child = inTurn.next();
      if (child.done) return;
      yield* leavesInTurn(child.value, draw, [tree, ...above], mayGoOn);
    }
  }
}

/** A lottery: each child has as many tickets as its weight says. Those without any come when all tickets are gone. */
function* byLot(children: Tree[], weights: number[], draw: () => number): Generator<Tree> {
  let tickets = children.flatMap((child, i) => Array<Tree>(weights[i] ?? 1).fill(child));
  while (tickets.length > 0) {
    const winner = tickets[Math.floor(draw() * tickets.length)] as Tree;
    yield winner;
    tickets = tickets.filter((ticket) => ticket !== winner);
  }
  yield* children.filter((_, i) => weights[i] === 0);
}

export function expectedStory(tree: Tree, draw: () => number, total: number): Story {
  const story: Story = { calls: [], waits: [], answeredBy: null, unanswered: [] };
  let now = 0;
  const call = ({ id, takes }: Leaf, end: End): End => {
    story.calls.push(id);
    now += takes;
    if (end.kind === 'answered') story.answeredBy = id;
    else story.unanswered.push({ id, end });
    return end;
  };

  const cooling: (Place & { readyAt: number })[] = [];
  let last: { failure: ModelFailure; above: Place['above'] } | null = null;
  let over = false;
  /** May this strategy ask another of its children? A list that says no ends the request; the table only ends the strategy. */
  const mayGoOn = (strategy: { codes: Codes }): boolean => {
    const place = last?.above.indexOf(strategy) ?? -1;
    if (last === null || place < 0) return !over;
    const { failure, above } = last;
    const lists = above.slice(0, place + 1).filter(({ codes }) => codes !== null);
    over ||= lists.some(({ codes }) => !letsGoOn(codes, failure));
    return !over && letsGoOn(strategy.codes, failure);
  };
  for (const place of leavesInTurn(tree, draw, [], mayGoOn)) {
    const end = call(place.leaf, place.leaf.first);
    if (end.kind === 'answered') return story;
    if (end.kind === 'failed') last = { failure: end.failure, above: place.above };
    else if (end.coolsInMs !== null) cooling.push({ ...place, readyAt: now + end.coolsInMs });
  }
  if (last !== null && isOver(last.failure, last.above)) return story;

  // "When nothing else is left in the whole tree, the shortest cooldown is waited for if it is within max_retry_after and the deadline"
  // All these waits together are, and where others were faster than this request it waits again.
  const since = now;
  while (cooling.length > 0) {
    const { leaf, above, readyAt } = cooling
      .sort((a, b) => a.readyAt - b.readyAt)
      .shift() as (typeof cooling)[0];
    const ms = Math.max(0, readyAt - now);
    if (now - since + ms > leaf.patience || now + ms >= total) continue;
    story.waits.push({ id: leaf.id, ms });
    now += ms;
    const end = call(leaf, leaf.second);
    if (end.kind === 'answered') return story;
    if (end.kind === 'failed' && isOver(end.failure, above)) return story;
    if (end.kind === 'skipped' && end.coolsInMs !== null)
      cooling.push({ leaf, above, readyAt: now + Math.max(end.coolsInMs, 10) });
  }
  return story;
}

/** What the client is to see. `relayedFrom`: the target whose own error is passed on. */
export interface ExpectedVerdict {
  status: number;
  code: string | null;
  relayedFrom: string | null;
  retryAfterMs: number | null;
  shouldRetry: boolean | null;
}

/** "When all is over, the status is that of …". Null: the client has gone. */
export function expectedVerdict({ unanswered }: Story): ExpectedVerdict | null {
  const own = (status: number, code: string, retryAfterMs: number | null = null): ExpectedVerdict => {
    const inVain = retryAfterMs === null ? status !== 429 : retryAfterMs > 60_000;
    return { status, code, relayedFrom: null, retryAfterMs, shouldRetry: inVain ? false : null };
  };
  const outcomes = unanswered.flatMap(({ id, end }) =>
    end.kind === 'failed' ? [{ id, ...end.failure }] : [],
  );
  const kinds = outcomes.map(({ kind }) => kind);
  const allAre = (kind: FailureKind) => kinds.every((one) => one === kind);

  if (kinds.includes('client_gone')) return null;
  if (kinds.includes('shutdown')) return own(503, 'server_shutting_down', 1000);
  if (unanswered.length === 0) return own(400, 'invalid_value');
  const fault = outcomes.find(({ kind }) =>
    ['invalid_request', 'context_too_long', 'content_filtered'].includes(kind),
  );
  if (fault?.kind === 'context_too_long') return own(400, 'context_length_exceeded');
  if (fault !== undefined) {
    return { ...own(fault.status ?? 400, ''), code: null, relayedFrom: fault.id };
  }
  if (kinds.length > 0 && allAre('rate_limited')) {
    return own(429, 'upstream_rate_limited', shortestWait(unanswered));
  }
  if (kinds.at(-1) === 'timeout' || kinds.at(-1) === 'deadline') return own(504, 'upstream_timeout');
  if (allAre('overloaded')) return own(503, 'no_healthy_upstream', shortestWait(unanswered));
  if (allAre('credentials_refused')) return own(502, 'upstream_auth_error');
  if (allAre('out_of_credit')) return own(502, 'upstream_out_of_credit');
  return own(502, 'upstream_error');
}

/** Of what is last known of each target; never under a second. */
function shortestWait(unanswered: Story['unanswered']): number {
  const known = new Map(unanswered.map(({ id, end }) => [id, end]));
  const waits = [...known.values()].flatMap((end) => {
    if (end.kind === 'failed') return [end.readyInMs];
    return [end.coolsInMs, end.opensInMs].filter((ms) => ms !== null);
  });
  return Math.max(1000, Math.min(...waits));
}
