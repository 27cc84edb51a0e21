import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';

export const ROOT = join(import.meta.dirname, '../..');

export interface PackageFile {
  /** As others name it: `@azure/identity`. */
  packageName: string;
  /** From the package's folder. */
  file: string;
  /** From the root of the project. */
  path: string;
  bytes: number;
}

interface Locked {
  dev?: boolean;
  /** Wanted by packages of both kinds, but needed by those for development only. */
  devOptional?: boolean;
}

/** All files of what `npm ci --omit=dev` installs, found by the lockfile: other packages may be there as well. */
export function productionFiles(): PackageFile[] {
  const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, Locked>;
  };
  const folders = Object.entries(lock.packages).filter(
    ([path, { dev, devOptional }]) => path !== '' && dev !== true && devOptional !== true,
  );
  return folders.flatMap(([path]) => {
    const packageName = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
    return filesIn(join(ROOT, path)).map((file) => ({
      packageName,
      file: relative(join(ROOT, path), file),
      path: relative(ROOT, file),
      bytes: statSync(file).size,
    }));
  });
}

/** Packages within the package are others. */
function filesIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : filesIn(path);
    return entry.isFile() ? [path] : [];
  });
}
