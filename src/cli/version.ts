import { readFileSync } from 'node:fs';

/** The package's version. Its file lies two folders up, from the sources and from what was built of them. */
export function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
