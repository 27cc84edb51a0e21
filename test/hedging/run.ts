/** Walks a tree whose targets take their time, beside each other where the tree says so. */
import { type CancelListener, Cancellation, type CancelReason } from '../../src/core/cancellation.ts';
import type { Chance } from '../../src/core/clock.ts';
import { Hedges } from '../../src/routing/hedge.ts';
import type { Measures } from '../../src/routing/measures.ts';
import type { CacheNode, HedgeAfter, TreeNode } from '../../src/routing/tree.ts';
import { walk } from '../../src/routing/walk.ts';
import type { Leaf, Tree } from '../routing/model.ts';
import { nodeOf, noMeasures } from '../routing/run.ts';
import { ManualClock } from '../support/manual-clock.ts';

/** One call to a target. */
export interface Made {
  id: string;
  from: number;
  /** When it was over; of one that answered, when it did. */
  to: number | null;
  how: 'answered' | 'failed' | 'skipped' | 'cancelled' | null;
  /** Every reason with which it was told to stop, its answer included. */
  told: CancelReason[];
}

export interface HedgedRun {
  answeredBy: string | null;
  /** What the walk rejected with. */
  error: unknown;
  /** When the walk was over. */
  endedAt: number;
  calls: Made[];
  discarded: string[];
  /** `started` and `won`, in order. */
  hedged: string[];
  /** Timers that are left when the walk is over. */
  timersLeft: number;
  /** What still hears of it when the request is cancelled. */
  tied: number;
  /** Of the request, to be cancelled once more. */
  cancellation: Cancellation;
}

export interface HowRun {
  chance?: Chance;
  hedges?: Hedges;
  measures?: Partial<Measures<Leaf>>;
  /** When the client leaves, in milliseconds from the beginning. */
  leavesAt?: number;
  /** Ids of targets whose call rejects, as only a fault of our own makes it do. */
  broken?: readonly string[];
  /** Ids of targets that do not end when they are told to. */
  deaf?: readonly string[];
  /** So long is looked on after the walk is over, in milliseconds. */
  looksOn?: number;
  stickyValue?: (name: string) => string | null;
  /** Where an answer that is kept is looked for; takes as long as it says. */
  lookUp?: (cache: CacheNode) => { takes: number; answer: string | null };
}

/** Whole milliseconds only. Nothing may take more than ten seconds. */
export async function runHedged(tree: Tree | TreeNode<Leaf>, how: HowRun = {}): Promise<HedgedRun> {
  const clock = new ManualClock();
  const cancellation = new CountedCancellation();
  const calls: Made[] = [];
  const discarded: string[] = [];
  const hedged: string[] = [];
  const visited = new Set<Leaf>();
  const call = (leaf: Leaf, ofCall: Cancellation) => {
    const end = visited.has(leaf) ? leaf.second : leaf.first;
    visited.add(leaf);
    const made: Made = { id: leaf.id, from: clock.now(), to: null, how: null, told: [] };
    calls.push(made);
    return new Promise<Exclude<typeof end, { kind: 'answered' }> | { kind: 'answered'; answer: string }>(
      (resolve, reject) => {
        const over = (how: NonNullable<Made['how']>) => {
          made.to = clock.now();
          made.how = how;
        };
        const listener = {
          cancelled(reason: CancelReason) {
            made.told.push(reason);
            if (made.how !== null || how.deaf?.includes(leaf.id)) return;
            timer.cancel();
            over('cancelled');
            resolve({ kind: 'failed', failure: { kind: reason, status: null }, readyInMs: 0 });
          },
        };
        const finish = () => {
          over(end.kind);
          // An answer may be a stream: it stays on the line.
          if (end.kind !== 'answered') ofCall.remove(listener);
          if (how.broken?.includes(leaf.id)) reject(new Error(`${leaf.id} is broken`));
          resolve(end.kind === 'answered' ? { kind: 'answered', answer: leaf.id } : end);
        };
        if (end.kind === 'skipped') {
          finish();
          return;
        }
        const timer = clock.schedule(leaf.takes, finish);
        ofCall.add(listener);
      },
    );
  };
  let result: { answer: string | null } | { error: unknown } | null = null;
  const walking = walk<Leaf, string>('mode' in tree ? nodeOf(tree) : tree, {
    facts: () => ({ lookup: () => undefined }),
    clock,
    chance: how.chance ?? (() => 0),
    cancellation,
    measures: { ...noMeasures(), ...how.measures },
    stickyValue: how.stickyValue ?? (() => null),
    hedges: how.hedges ?? new Hedges(),
    lookUp(node) {
      const { takes, answer } = how.lookUp?.(node.cache) ?? { takes: 0, answer: null };
      return new Promise((resolve) => clock.schedule(takes, () => resolve(answer)));
    },
    call,
    discard: (answer) => void discarded.push(answer),
    waitFor: async () => false,
    hedged: (what) => void hedged.push(what),
    ended: () => {},
  }).then(
    (answer) => {
      result = { answer };
    },
    (error) => {
      result = { error };
    },
  );
  const isOver = () => result !== null;
  await settled();
  for (let ms = 0; ms < 10_000 && !isOver(); ms++) {
    if (ms === how.leavesAt) cancellation.cancel('client_gone');
    else clock.advance(ms === 0 ? 0 : 1);
    await settled();
  }
  if (!isOver()) throw new Error('the walk does not end');
  await walking;
  const endedAt = clock.now();
  await settled();
  for (let ms = 0; ms < (how.looksOn ?? 0); ms++) {
    clock.advance(1);
    await settled();
  }
  const ended = result as unknown as { answer: string | null } | { error: unknown };
  const answer = 'answer' in ended ? ended.answer : null;
  const error = 'error' in ended ? ended.error : null;
  return {
    answeredBy: answer,
    error,
    endedAt,
    calls,
    discarded,
    hedged,
    timersLeft: clock.pending,
    tied: cancellation.tied.size,
    cancellation,
  };
}

class CountedCancellation extends Cancellation {
  readonly tied = new Set<CancelListener>();

  override add(listener: CancelListener): void {
    this.tied.add(listener);
    super.add(listener);
  }

  override remove(listener: CancelListener): void {
    this.tied.delete(listener);
    super.remove(listener);
  }
}

/** Lets promises run until they wait for time. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A fallback that starts the next child beside one that has been silent for so long. */
export function hedged(
  children: Tree[],
  after: HedgeAfter | number,
  maxExtra = 1,
  codes: number[] | null = null,
): Tree {
  const hedge = { after: typeof after === 'number' ? { ms: after } : after, maxExtra };
  return { mode: 'fallback', codes, children, hedge };
}

/** Every call as `a 0-30 cancelled`, in order of their beginning. */
export function storyOf({ calls }: HedgedRun): string[] {
  return calls.map(({ id, from, to, how }) => `${id} ${from}-${to} ${how}`);
}
