import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

export const ROOT = join(import.meta.dirname, '../..');

export interface Source {
  /** From the root of the project: `src/core/json.ts`. */
  path: string;
  text: string;
}

export interface Import {
  from: string;
  line: number;
  /** As `from` is written for a file of ours, else the package's name (`node:` modules keep their prefix). */
  to: string;
}

export function sources(): Source[] {
  const found: Source[] = [];
  for (const entry of readdirSync(join(ROOT, 'src'), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.ts')) continue;
    const file = join(entry.parentPath, entry.name);
    found.push({ path: relative(ROOT, file), text: readFileSync(file, 'utf8') });
  }
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** `import … from 'x'`, `export … from 'x'`, `import 'x'` and `import('x')`, types included. */
const IMPORT = /^\s*(?:import|export)\b[^;'"]*?\bfrom\s+['"]([^'"]+)['"]|\bimport\s*\(?\s*['"]([^'"]+)['"]/gm;

export function importsOf({ path, text }: Source): Import[] {
  return [...text.matchAll(IMPORT)].map((match) => {
    const wanted = match[1] ?? match[2] ?? '';
    const end = (match.index ?? 0) + match[0].length;
    return { from: path, line: lineAt(text, end), to: resolved(path, wanted) };
  });
}

function resolved(from: string, wanted: string): string {
  if (wanted.startsWith('.')) return join(dirname(from), wanted);
  if (wanted.startsWith('node:')) return wanted;
  return wanted
    .split('/')
    .slice(0, wanted.startsWith('@') ? 2 : 1)
    .join('/');
}

export function lineAt(text: string, index: number): number {
  return text.slice(0, index).split('\n').length;
}

/** The folder under `src`, or the file that stands there by itself; a package is its own part. */
export function partOf(path: string): string {
  return path.startsWith('src/') ? (path.split('/')[1] ?? path) : path;
}

/** The text with comments and strings blanked, line by line as long as before. */
export function codeOf(text: string): string {
  const notCode = /'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`|\/\/.*|\/\*[\s\S]*?\*\//g;
  return text.replace(notCode, (found) => found.replace(/[^\n]/g, ' '));
}
