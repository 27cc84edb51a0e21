import { randomBytes } from 'node:crypto';
import { hashOfKey } from './key-hash.ts';

/** 256 bits: nobody guesses it, so a plain hash is enough to keep. */
const KEY_BYTES = 32;

/** Makes a key for a client. Nothing but its hash is to be kept. */
export function newKey(): { key: string; sha256: string } {
  const key = `sw-${randomBytes(KEY_BYTES).toString('base64url')}`;
  return { key, sha256: hashOfKey(key) };
}
