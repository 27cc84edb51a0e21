import { hash } from 'node:crypto';

/** What is kept of a key, and what it is looked up by: 64 lower-case hexadecimal digits. */
export function hashOfKey(key: string): string {
  return hash('sha256', key, 'hex');
}

/** What is made where the key was an empty variable. */
const HASH_OF_NOTHING = hashOfKey('');

/** A hash as people write it: in any case, with `sha256:` before it or not. */
export function readHash(text: string): { hash: string } | { fault: 'form' | 'of nothing' } {
  const digits = text
    .trim()
    .replace(/^sha256:\s*/i, '')
    .toLowerCase();
  if (!/^[0-9a-f]{64}$/.test(digits)) return { fault: 'form' };
  return digits === HASH_OF_NOTHING ? { fault: 'of nothing' } : { hash: digits };
}
