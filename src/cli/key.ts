import { newKey } from '../auth/new-key.ts';
import type { ExitStatus, Terminal } from './terminal.ts';

/** Prints a new key for a client, which is kept nowhere, and the line that lets it in. */
export function printNewKey(terminal: Terminal): ExitStatus {
  const { key, sha256 } = newKey();
  terminal.out(`The key, for the client; it is shown this once:

  ${key}

The line for the configuration, under a tenant's \`keys\`, beside an \`id\`:

  sha256: "${sha256}"
`);
  return 0;
}
