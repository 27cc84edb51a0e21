/** Walks and judges a tree of the model with the code itself, on a clock of its own and with targets that do as they are told. */
import { Cancellation } from '../../src/core/cancellation.ts';
import type { Failure, FailureKind } from '../../src/core/outcome.ts';
import { judge, type NoAnswer, type Unanswered } from '../../src/pipeline/verdict.ts';
import { Hedges } from '../../src/routing/hedge.ts';
import type { Measures } from '../../src/routing/measures.ts';
import type { TreeNode } from '../../src/routing/tree.ts';
import { walk } from '../../src/routing/walk.ts';
import { ManualClock } from '../support/manual-clock.ts';
import type { End, ExpectedVerdict, Leaf, Story, Tree } from './model.ts';

export interface Ran {
  story: Story;
  /** Null if a target answered, or the client left. */
  verdict: ExpectedVerdict | null;
  /** What the client is told, if the error is our own. */
  message: string | null;
}

/** Of targets of which nothing is known, and that can all serve. */
export function noMeasures(): Measures<Leaf> {
  return {
    id: ({ id }) => id,
    usable: () => true,
    latency: () => null,
    quantile: () => null,
    inFlight: () => 0,
    cost: () => null,
    headroom: () => null,
  };
}

/** `total`: of the whole request, in milliseconds. */
export async function run(tree: Tree, chance: () => number = () => 0, total = 600_000): Promise<Ran> {
  const clock = new ManualClock();
  const story: Story = { calls: [], waits: [], answeredBy: null, unanswered: [] };
  const visited = new Set<Leaf>();
  story.answeredBy = await walk<Leaf, string>(nodeOf(tree), {
    facts: () => ({ lookup: () => undefined }),
    clock,
    chance,
    cancellation: new Cancellation(),
    measures: noMeasures(),
    stickyValue: () => null,
    hedges: new Hedges(),
    lookUp: async () => null,
    discard: () => {},
    hedged: () => {},
    ended: () => {},
    async call(leaf) {
      story.calls.push(leaf.id);
      clock.advance(leaf.takes);
      const end = visited.has(leaf) ? leaf.second : leaf.first;
      visited.add(leaf);
      if (end.kind === 'answered') return { kind: 'answered', answer: leaf.id };
      story.unanswered.push({ id: leaf.id, end });
      return end;
    },
    async waitFor(leaf, ms, waited) {
      if (ms + waited > leaf.patience || clock.now() + ms >= total) return false;
      story.waits.push({ id: leaf.id, ms });
      clock.advance(ms);
      return true;
    },
  });
  if (story.answeredBy !== null) return { story, verdict: null, message: null };
  const verdict = judge(
    'm',
    story.unanswered.map(({ id, end }) => ({ target: id, end: asVisit(end) })),
    'messages',
  );
  return { story, verdict: flat(verdict), message: verdict.kind === 'own' ? verdict.error.message : null };
}

function asVisit(end: Exclude<End, { kind: 'answered' }>): Unanswered['end'] {
  if (end.kind === 'skipped') return { ...end, why: end.coolsInMs === null ? null : 'rate limited' };
  const failure: Failure = { ...end.failure, message: 'it failed', retryAfterMs: null, error: null };
  return { ...end, failure, tries: 1 };
}

function flat(verdict: NoAnswer): ExpectedVerdict | null {
  switch (verdict.kind) {
    case 'client_gone':
      return null;
    case 'relayed': {
      const status = verdict.failure.status ?? 400;
      return { status, code: null, relayedFrom: verdict.target, retryAfterMs: null, shouldRetry: false };
    }
    case 'own': {
      const { status, code, retryAfterMs, shouldRetry } = verdict.error;
      return { status, code, relayedFrom: null, retryAfterMs, shouldRetry };
    }
  }
}

/** The tree as the code has it. */
export function nodeOf(tree: Tree): TreeNode<Leaf> {
  const label = tree.mode;
  switch (tree.mode) {
    case 'target':
      return { kind: 'target', label, cache: null, target: tree.leaf };
    case 'single':
    case 'fallback':
      return {
        kind: 'fallback',
        label,
        cache: null,
        onStatusCodes: setOf(tree.codes),
        hedge: tree.hedge ?? null,
        children: tree.children.map(nodeOf),
      };
    case 'loadbalance': {
      const children = tree.children.map((child, i) => ({
        weight: tree.weights[i] ?? 1,
        node: nodeOf(child),
      }));
      const onStatusCodes = setOf(tree.codes);
      return { kind: 'loadbalance', label, cache: null, onStatusCodes, by: 'weight', sticky: null, children };
    }
    case 'conditional': {
      const children = tree.children.map(nodeOf);
      const conditions = tree.conditions.map(({ matches, child }) => ({
        query: { matches: () => matches },
        child: children[child] as TreeNode<Leaf>,
      }));
      const fallThrough = children[tree.default ?? -1] ?? null;
      return { kind: 'conditional', label, cache: null, conditions, default: fallThrough };
    }
  }
}

function setOf(codes: number[] | null): Set<number> | null {
  return codes === null ? null : new Set(codes);
}

// ------------------------------------------------------------------------------------- words to write examples with

export const OK: End = { kind: 'answered' };

/** `readyInMs`: when it may be asked again. */
export function fails(kind: FailureKind, status: number | null, readyInMs = 0): End {
  return { kind: 'failed', failure: { kind, status }, readyInMs };
}

export const S500 = fails('server_error', 500);
export const S503 = fails('overloaded', 503);
export const S429 = fails('rate_limited', 429);
export const S400 = fails('invalid_request', 400);
export const S401 = fails('credentials_refused', 401);

/** Its keys cool down for so long. */
export function cooling(ms: number): End {
  return { kind: 'skipped', coolsInMs: ms, opensInMs: null };
}

/** Its breaker is open for so long. */
export function open(ms: number): End {
  return { kind: 'skipped', coolsInMs: null, opensInMs: ms };
}

/** A target: how the call to it ends, and the one after its cooldown. It waits up to 10 s. */
export function target(id: string, first: End, second: End = OK, more: Partial<Leaf> = {}): Tree {
  return { mode: 'target', leaf: { id, first, second, takes: 0, patience: 10_000, ...more } };
}

export function fallback(children: Tree[], codes: number[] | null = null): Tree {
  return { mode: 'fallback', codes, children };
}

export function loadbalance(children: [weight: number, child: Tree][], codes: number[] | null = null): Tree {
  const weights = children.map(([weight]) => weight);
  return { mode: 'loadbalance', codes, weights, children: children.map(([, child]) => child) };
}
