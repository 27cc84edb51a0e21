import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** Writes a file that is gone when the test ends, and gives its path. */
export function writeTemporary(t: TestContext, text: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'spillway-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'spillway.yaml');
  writeFileSync(file, text);
  return file;
}
