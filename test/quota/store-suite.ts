import { describe } from 'node:test';
import { admissionSuite } from './suite/admission.ts';
import { gatewaysSuite } from './suite/gateways.ts';
import type { OpenRig } from './suite/kit.ts';
import { ledgerSuite } from './suite/ledger.ts';
import { periodsSuite } from './suite/periods.ts';
import { repeatedSuite } from './suite/repeated.ts';
import { settlementSuite } from './suite/settlement.ts';
import { standingsSuite } from './suite/standings.ts';

export type { OpenRig, Rig } from './suite/kit.ts';

/**
 * The contract of `QuotaStore`, for whatever keeps it. `open` is called for each test, and cleans up by `t.after`. `isAskedAgain`: what it does
 * not answer it is asked again.
 */
export function storeSuite(name: string, open: OpenRig, isAskedAgain = false): void {
  describe(name, () => {
    admissionSuite(open);
    if (isAskedAgain) repeatedSuite(open);
    periodsSuite(open);
    settlementSuite(open);
    standingsSuite(open);
    ledgerSuite(open);
    gatewaysSuite(open);
  });
}
