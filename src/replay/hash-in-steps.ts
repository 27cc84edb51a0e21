import type { Hash, Hmac } from 'node:crypto';
import { othersTurn } from '../core/turns.ts';

/** So much is hashed before others have their turn: at most a few milliseconds' worth. Bytes. */
const STEP = 1024 * 1024;

export async function updateInSteps(hash: Hash | Hmac, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; at += STEP) {
    if (at > 0) await othersTurn();
    hash.update(bytes.subarray(at, at + STEP));
  }
}
