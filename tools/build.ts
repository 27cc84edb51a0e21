/**
 * `npm run build`: the sources as JavaScript in `dist`, in few files rather than in the five hundred that they are, which Node needs half as long
 * again to bring in. The packages that they import stay what they are, beside it.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

const ROOT = join(import.meta.dirname, '..');

/** What is started by its path: by users, and by the gateway itself (see `core/program-file.ts`). */
const PROGRAMS = ['cli/main', 'main', 'config/aside-thread', 'config/file-reader', 'workers/begin'];

/** Into a folder that is emptied before. It is to lie beside `config` and `package.json`, as `src` does. */
export async function buildInto(folder: string): Promise<void> {
  rmSync(folder, { recursive: true, force: true });
  await build({
    absWorkingDir: ROOT,
    entryPoints: PROGRAMS.map((program) => `src/${program}.ts`),
    outbase: 'src',
    outdir: folder,
    // One folder deep, as the sources are that look for files beside them.
    chunkNames: 'parts/[name]-[hash]',
    bundle: true,
    splitting: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'node24',
    logLevel: 'warning',
  });
}

if (import.meta.main) await buildInto(join(ROOT, 'dist'));
