import { isDeepStrictEqual } from 'node:util';
import type { RuntimeConfig } from '../config/runtime.ts';
import type { Address } from '../server/settings.ts';

/** What a running process cannot change, and would have to: a sentence for each. */
export function needsRestart(config: RuntimeConfig, running: RuntimeConfig): string[] {
  const same = [
    ['listen', sameAddress(config.listen, running.listen)],
    ['admin.listen', sameAddress(config.admin.listen, running.admin.listen)],
    ['server.workers', config.server.workers === running.server.workers],
    ['server.max_body', config.server.maxBody === running.server.maxBody],
    ['state', isDeepStrictEqual(config.state, running.state)],
    ['idempotency.encryption_key', config.idempotency.encryptionKey === running.idempotency.encryptionKey],
    ['quota_defaults.ledger_days', config.quotaDefaults.ledgerDays === running.quotaDefaults.ledgerDays],
    ['server.tls (on or off)', (config.server.tls === null) === (running.server.tls === null)],
  ] as const;
  return same.flatMap(([key, unchanged]) =>
    unchanged ? [] : [`${key} cannot change while running: restart instead`],
  );
}

function sameAddress(a: Address, b: Address): boolean {
  return a.host === b.host && a.port === b.port;
}
