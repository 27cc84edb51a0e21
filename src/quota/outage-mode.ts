import type { StateChange } from '../state/client.ts';
import type { StateSettings } from '../state/settings.ts';

/** A node of Redis went away or is back, and what this gateway does about it. */
export interface ModeChange extends StateChange {
  mode: StateSettings['onOutage'];
}

/** What each mode does, for those who read the log. */
const MEANWHILE: Readonly<Record<StateSettings['onOutage'], string>> = {
  local: 'until it is back this gateway enforces its own share of each limit kept there',
  deny: 'until it is back requests with quotas kept there are refused with 503',
  allow: 'until it is back requests pass without their quotas being checked, and are charged afterwards',
};

/** "redis is away (no answer within 250 ms); on_outage is local: until it is back …". */
export function describeChange({ node, up, mode, why }: ModeChange): string {
  const reason = why === null ? '' : ` (${why})`;
  if (!up) return `${node} is away${reason}; on_outage is ${mode}: ${MEANWHILE[mode]}`;
  const owed = mode === 'deny' ? '' : ', and what was used meanwhile is written to it';
  return `${node} is back${reason}: quotas are counted there again${owed}`;
}
