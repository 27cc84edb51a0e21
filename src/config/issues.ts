import type { z } from 'zod';
import { type Fault, faultsOf as faultsIn, shownScalar } from '../schema/faults.ts';
import type { Located } from './source.ts';

/** What zod found in a file, as a user should read it. `found` null: there is nothing. */
export function faultsOf(root: z.ZodType, issue: z.core.$ZodIssue, found: Located | null): Fault[] {
  if (found === null) return faultsIn(root, issue, null);
  const text = found.kind === 'scalar' && typeof found.value === 'string' ? found.value : null;
  return faultsIn(root, issue, { text, shown: (secret) => shown(found, secret) });
}

/** A value as a problem may show it: never a secret, and `${NAME}` as it was written. */
export function shown(located: Located, secret: boolean): string {
  if (located.kind === 'map') return 'a map';
  if (located.kind === 'list') return 'a list';
  const { value, written, origin } = located;
  if (origin !== 'file') return `${written}${value === '' ? ', which is empty' : ''}`;
  return shownScalar(value, written, secret);
}
