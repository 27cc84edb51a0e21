import { fstatSync } from 'node:fs';

/** Standard output. */
const OUTPUT = 1;

/**
 * Can several processes write lines to the standard output that they share, without getting them mixed up? To a file they can: the system makes each
 * call of `write` whole, and those of all who share the descriptor come one after the other. A pipe that is full takes a part of one, then of another.
 */
export function outputIsFile(): boolean {
  try {
    return fstatSync(OUTPUT).isFile();
  } catch {
    // Closed.
    return false;
  }
}
