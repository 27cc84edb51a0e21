import type { Dialect } from '../loads.ts';
import type { Running } from '../process.ts';

/** How a row is to be started. */
export interface Launch {
  /** The stand-in provider's origin. */
  upstream: string;
  /** A directory of the run's own. */
  scratch: string;
  /** What its files are called there: no two processes at a time have the same. */
  label: string;
  /** Arguments for Node, before the program; for nginx there is no place for them. */
  node: readonly string[];
  env: Readonly<Record<string, string>>;
}

/** Throws an Error whose message says why it cannot take part. */
export type Start = (launch: Launch) => Promise<Started>;

export interface Started {
  running: Running;
  url(dialect: Dialect, streamed: boolean): string;
  headers: Record<string, string>;
  /** Of another tenant, where there are tenants. */
  otherHeaders: Record<string, string>;
  /** Ends it and what it had started for itself. */
  stop(patienceMs?: number): Promise<void>;
}
