import { createHash, randomBytes } from 'node:crypto';
import type { ExitStatus, Terminal } from './terminal.ts';

/** 256 bits: nobody guesses it, so a plain hash is enough to keep. */
const KEY_BYTES = 32;

/** Prints a new key for a client, which is kept nowhere, and the line that lets it in. */
export function newKey(terminal: Terminal): ExitStatus {
  const key = `sw-${randomBytes(KEY_BYTES).toString('base64url')}`;
  const sha256 = createHash('sha256').update(key).digest('hex');
  terminal.out(`The key, for the client; it is shown this once:

  ${key}

The line for the configuration, under a tenant's \`keys\`, beside an \`id\`:

  sha256: "${sha256}"
`);
  return 0;
}
