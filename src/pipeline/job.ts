import type { RequestEntry } from '../accounting/request-entry.ts';
import type { Principal } from '../auth/keyring.ts';
import type { ClientRequest } from '../dialects/dialect.ts';
import type { LiveModel } from './live.ts';
import type { Spending } from './spending.ts';

/** A request that has been let in. */
export interface Job {
  /** Ours, never given twice: what the client calls it may come again. */
  id: string;
  principal: Principal;
  request: ClientRequest;
  model: LiveModel;
  entry: RequestEntry;
  spending: Spending;
}
