import type { Path } from './problem.ts';
import type { Located, LocatedScalar } from './source.ts';

/** A value of a file as code sees it, without its places. */
export type Plain = string | number | boolean | null | Plain[] | { [key: string]: Plain };

export function toPlain(located: Located): Plain {
  if (located.kind === 'scalar') return located.value;
  if (located.kind === 'list') return located.items.map(toPlain);
  return Object.fromEntries([...located.entries].map(([key, { value }]) => [key, toPlain(value)]));
}

/** What stands at a path, or the nearest thing above it that is there. */
export interface Found {
  located: Located;
  /** Where the key begins (for an item of a list, the item). */
  keyOffset: number;
  /** What of the path was not there. */
  rest: Path;
}

export function find(root: Located, path: Path): Found {
  let found: Found = { located: root, keyOffset: root.offset, rest: path };
  for (const [index, step] of path.entries()) {
    const { located } = found;
    const rest = path.slice(index + 1);
    if (located.kind === 'map') {
      const entry = located.entries.get(String(step));
      if (entry === undefined) break;
      found = { located: entry.value, keyOffset: entry.offset, rest };
    } else if (located.kind === 'list' && typeof step === 'number') {
      const item = located.items[step];
      if (item === undefined) break;
      found = { located: item, keyOffset: item.offset, rest };
    } else break;
  }
  return found;
}

/** The scalar exactly at that path, or null. */
export function scalarAt(root: Located, path: Path): LocatedScalar | null {
  const { located, rest } = find(root, path);
  return rest.length === 0 && located.kind === 'scalar' ? located : null;
}

/** Takes out what stands at that path. False if it is the root or not there. */
export function remove(root: Located, path: Path): boolean {
  const last = path.at(-1);
  const { located: parent, rest } = find(root, path.slice(0, -1));
  if (last === undefined || rest.length > 0) return false;
  if (parent.kind === 'map') return parent.entries.delete(String(last));
  if (parent.kind !== 'list' || typeof last !== 'number') return false;
  return parent.items.splice(last, 1).length > 0;
}

/** The keys of the map at that path; none if there is no map. */
export function keysAt(root: Located, path: Path): string[] {
  const { located, rest } = find(root, path);
  return rest.length === 0 && located.kind === 'map' ? [...located.entries.keys()] : [];
}

/** Every text that held a `${...}`. */
export function substitutedIn(located: Located): LocatedScalar[] {
  if (located.kind === 'scalar') return located.origin === 'file' ? [] : [located];
  const inside =
    located.kind === 'list' ? located.items : [...located.entries.values()].map(({ value }) => value);
  return inside.flatMap(substitutedIn);
}
