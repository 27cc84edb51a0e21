import { othersTurn } from './turns.ts';

/** So much is hashed before others have their turn: at most a few milliseconds' worth. Bytes. */
const STEP = 1024 * 1024;

/** One of `node:crypto`. */
interface Hash {
  update(bytes: Uint8Array): unknown;
}

/** The next piece of what is hashed. */
export async function updateInSteps(hash: Hash, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; at += STEP) {
    if (at > 0) await othersTurn();
    hash.update(bytes.subarray(at, at + STEP));
  }
}
