import type { Told } from '../accounting/aggregate.ts';
import type { ConfigurationSource } from '../app/configuration.ts';
import type { Findings } from '../config/aside.ts';
import type { LedgerRow } from '../quota/ledger.ts';
import type { UpstreamStatus } from '../server/admin.ts';
import type { TenantOperations } from '../tenants/admin.ts';

/** What the primary asks of a worker, and what it is answered. On the way it is in V8's own form, which has more than JSON: sets, large integers, infinity. */
export interface Questions {
  /** Begin to serve. Asked once, first; answered when it accepts requests. */
  start: { asked: Start; answer: { listen: string } };
  /** Could this be taken over? Problems, or none. What was prepared before is forgotten. */
  prepare: { asked: Findings; answer: string[] };
  /** Take over what was prepared. A problem, or none. */
  take: { asked: null; answer: string[] };
  /** Null: ready. Else what is in the way. */
  notReady: { asked: null; answer: string | null };
  /** The first piece of all that it measured, or the next one; null: that was the last. None is so large that anybody would wait for it. */
  metrics: { asked: { anew: boolean }; answer: Told[] | null };
  /** Of these tenants, those that there are not; null: it cannot know just now. */
  missingTenants: { asked: { tenants: string[] }; answer: string[] | null };
  upstreams: { asked: null; answer: UpstreamStatus[] };
  /** Is all written that was settled there, for one tenant or all? */
  flush: { asked: { tenant: string | null }; answer: boolean };
  ledger: { asked: { days: readonly string[]; tenant: string | null }; answer: LedgerRow[] };
  tenants: { asked: { operation: TenantOperation; given: readonly unknown[] }; answer: unknown };
  /** Answered when changes of tenants that others made so far are in force. */
  followTenants: { asked: null; answer: null };
  /** Take no more requests, end those under way, then yourself. Answered by ending. */
  drain: { asked: null; answer: null };
}

export type Kind = keyof Questions;

export interface Start {
  /** Its number, from 1. */
  number: number;
  source: ConfigurationSource;
  /** The configuration in force, whatever has become of its file. */
  findings: Findings;
}

/** The same words for reading and changing as over HTTP. */
export const READING = ['list', 'get', 'keys'] as const satisfies readonly (keyof TenantOperations)[];
export const CHANGING = [
  'create',
  'patch',
  'remove',
  'putKey',
  'patchKey',
  'revoke',
  'rotate',
] as const satisfies readonly (keyof TenantOperations)[];
export type TenantOperation = (typeof READING)[number] | (typeof CHANGING)[number];

export interface Question<K extends Kind = Kind> {
  id: number;
  kind: K;
  asked: Questions[K]['asked'];
}

export type Answer = { id: number; answer: unknown } | { id: number; error: SentError };

/** An error on its way to another process. */
export interface SentError {
  name: string;
  message: string;
  /** Of the system's errors: `EADDRINUSE`. */
  code?: string;
  /** Of an answer to a client. */
  api?: {
    code: string;
    type: string;
    param: string | null;
    retryAfterMs: number | null;
    shouldRetry: boolean | null;
    headers: Readonly<Record<string, string>>;
  };
}
