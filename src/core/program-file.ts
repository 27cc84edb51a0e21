/**
 * The file of a program of ours that is started by its path: `path` is where it lies in `src`, without the ending. As source and as built, for what is
 * built of this file lies one folder deep as well (`tools/build.ts` sees to that, and has the list of these programs).
 */
export function programFile(path: string): string {
  const ending = import.meta.filename.slice(-'.ts'.length);
  const above = import.meta.dirname.replace(/[/\\][^/\\]+$/, '');
  return `${above}/${path}${ending}`;
}
