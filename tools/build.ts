/**
 * `npm run build`: the sources as JavaScript in `dist`, in few files rather than in the five hundred that they are, which Node needs half as long
 * again to bring in. The packages that they import stay what they are, beside it.
 */
import { rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { build, type Metafile, stop } from 'esbuild';

const ROOT = join(import.meta.dirname, '..');

/** What is started by its path: by users, and by the gateway itself (see `core/program-file.ts`). As it lies in `src`, without the ending. */
export const PROGRAMS = ['cli/main', 'main', 'config/aside-thread', 'config/file-reader', 'workers/begin'];

/** Into a folder that is emptied before. It is to lie beside `config` and `package.json`, as `src` does. */
export async function buildInto(folder: string): Promise<void> {
  rmSync(folder, { recursive: true, force: true });
  try {
    const { metafile } = await build({
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
      tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
      metafile: true,
      logLevel: 'warning',
    });
    allOneFolderDeep(metafile, basename(folder));
  } finally {
    // Else its process stays as long as this one.
    await stop();
  }
}

/** Throws where a source would look for files beside it in another place than it lies in: `src/main.ts`, which lies in no folder, must have its parts brought in. */
function allOneFolderDeep({ outputs }: Metafile, folder: string): void {
  for (const [output, { inputs }] of Object.entries(outputs)) {
    if (basename(dirname(output)) !== folder) continue;
    const others = Object.keys(inputs).filter((input) => input !== 'src/main.ts');
    if (others.length > 0) throw new Error(`${output} has ${others.join(', ')} in it: import() it`);
  }
}

if (import.meta.main) await buildInto(join(ROOT, 'dist'));
