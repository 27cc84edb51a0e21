import { type FailureKind, OUTCOME_RULES } from '../core/outcome.ts';

/** A strategy's `on_status_codes`. */
export type Codes = ReadonlySet<number> | null;

/** Of a failure, what decides how the walk goes on. */
export interface WalkFailure {
  kind: FailureKind;
  status: number | null;
}

/**
 * How a node ended. `stopped`: an `on_status_codes` ended the request, whatever else there is in the tree. `declined`: by the table no
 * further target is asked, unless a strategy above lists the status.
 */
export type NodeEnd<A> =
  | { kind: 'answered'; answer: A }
  | { kind: 'stopped' }
  /** `last`: the last failure, null if all was skipped. */
  | { kind: 'exhausted'; last: WalkFailure | null; declined: boolean };

/** A part of a request that another part has made needless asks nobody any more. */
export const SUPERSEDED: NodeEnd<never> = {
  kind: 'exhausted',
  last: { kind: 'superseded', status: null },
  declined: true,
};

/**
 * Does the request go on to the next child after this failure? The table says so, or a strategy's `on_status_codes` in its place for
 * what has a status; credentials refused always keep to the table, also those that another gateway was refused and that we have nothing to do with.
 */
export function goesOn({ kind, status }: WalkFailure, onStatusCodes: Codes): boolean {
  if (onStatusCodes === null || status === null || kind === 'credentials_refused' || status === 401)
    return OUTCOME_RULES[kind].next;
  if (kind === 'client_gone' || kind === 'deadline' || kind === 'shutdown') return false;
  return onStatusCodes.has(status) || (status === 529 && onStatusCodes.has(503));
}

/** How a strategy ends when one of its children has ended so; null: its next child is to be asked. */
export function endAfter<A>(child: NodeEnd<A>, onStatusCodes: Codes): NodeEnd<A> | null {
  if (child.kind !== 'exhausted') return child;
  const { last } = child;
  if (last === null || goesOn(last, onStatusCodes)) return null;
  return onStatusCodes === null ? { kind: 'exhausted', last, declined: true } : { kind: 'stopped' };
}
