import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** What Node never loads: maps, types (and sources in TypeScript, which it refuses under node_modules), pages for people. Licences stay. */
const NEVER_LOADED = /\.(map|[cm]?ts|tsbuildinfo|markdown|md)$/i;

/** Folders at the top of a package that are for its own authors. */
const FOR_AUTHORS = /^(\.\w+|__tests__|bench(marks?)?|coverage|docs?|examples?|samples|tests?)\//;

/** What packages are built to for others than Node. */
const FOR_OTHERS = /(^|\/)dist\/(browser|react-native|workerd)\//;

/** Whole packages that others name as dependencies and that nothing loads in Node. */
const UNUSED_PACKAGES: ReadonlySet<string> = new Set([
  // Of @azure/identity: what it logs in with in a browser.
  '@azure/msal-browser',
  // Of fetch-blob, which is of google-auth-library: for a Node without streams of the web.
  'web-streams-polyfill',
]);

/** May a process load this file of a package? `file`: as from the package's folder, with `/`. */
export function isNeeded(packageName: string, file: string): boolean {
  if (UNUSED_PACKAGES.has(packageName)) return false;
  if (/^(licen[cs]e|notice|copying)/i.test(file.split('/').at(-1) ?? '')) return true;
  return !NEVER_LOADED.test(file) && !FOR_AUTHORS.test(file) && !FOR_OTHERS.test(file);
}

/** The package that a path under the outermost node_modules belongs to, and what is left of the path; null for what belongs to none. */
export function partsOf(path: string): { packageName: string; file: string } | null {
  const inside = path.split('node_modules/').at(-1) ?? '';
  const [first = '', second = '', ...rest] = inside.split('/');
  if (first.startsWith('.')) return null;
  const packageName = first.startsWith('@') ? `${first}/${second}` : first;
  const file = (first.startsWith('@') ? rest : [second, ...rest]).join('/');
  return file === '' ? null : { packageName, file };
}

/** Deletes what is not needed under a folder `node_modules`, with the folders that this leaves empty. */
export function prune(nodeModules: string): void {
  deleteUnneeded(nodeModules, 'node_modules/');
}

/** True: the folder is empty now. `path`: of the folder, from `node_modules/` on, with a `/` at its end. */
function deleteUnneeded(folder: string, path: string): boolean {
  let left = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const here = join(folder, entry.name);
    const parts = partsOf(path + entry.name);
    const gone = entry.isDirectory()
      ? deleteUnneeded(here, `${path}${entry.name}/`)
      : parts !== null && !isNeeded(parts.packageName, parts.file);
    if (gone) rmSync(here, { recursive: true });
    else left++;
  }
  return left === 0;
}
