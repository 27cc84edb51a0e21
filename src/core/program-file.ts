/**
 * The file of a program of ours that is started by its path: `path` is where it lies in `src`, without the ending. As source and as built: what is
 * built of this file lies one folder deep as well.
 */
export function programFile(path: string): string {
  const ending = import.meta.filename.slice(-'.ts'.length);
  return `${import.meta.dirname}/../${path}${ending}`;
}
