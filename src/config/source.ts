import { isAlias, isMap, isScalar, isSeq, type Node, type Pair, parseDocument } from 'yaml';
import { formatPath, type Path, type Problem } from './problem.ts';
import { type Surroundings, substitute } from './substitute.ts';
import { syntaxMessage } from './syntax.ts';

/** A value of the file and where it stands. Values can be changed and taken out while the file is being checked. */
export type Located = LocatedScalar | LocatedMap | LocatedList;

interface Place {
  /** Where it was in the file as written, whatever has been taken out since. */
  path: Path;
  offset: number;
}

export interface LocatedScalar extends Place {
  kind: 'scalar';
  value: string | number | boolean | null;
  /** As the file has it, before `${...}` was replaced: what may be shown. */
  written: string;
  origin: 'file' | 'substituted' | 'unknown';
  /** How many other readings of a substituted text have been tried. */
  readings: number;
}

export interface LocatedMap extends Place {
  kind: 'map';
  entries: Map<string, { offset: number; value: Located }>;
}

export interface LocatedList extends Place {
  kind: 'list';
  items: Located[];
}

/** Levels of maps and lists within each other. A level of a tree takes two; the stack holds several times as many. */
const DEEPEST = 400;
/** Values that aliases may repeat: a few lines of YAML can otherwise stand for billions. */
const MOST_REPEATED = 50_000;

export interface Source {
  /** Null if there is nothing to go on with. */
  root: Located | null;
  problems: Problem[];
  /** Line and column, both from 1. */
  position(offset: number): { line: number; column: number };
}

/**
 * YAML text (JSON is YAML) to values with their places, `${...}` replaced; with null for the surroundings it stays as it is.
 * `least` is what a file that is not empty has.
 */
export function readSource(
  file: string,
  text: string,
  surroundings: Surroundings | null,
  least: string,
): Source {
  const problems: Problem[] = [];
  const position = positionsIn(text);
  const report = (offset: number, path: Path, message: string) => {
    problems.push({ file, ...position(offset), path: formatPath(path), message });
  };

  const document = parseDocument(text, { prettyErrors: false, uniqueKeys: false });
  for (const error of [...document.errors, ...document.warnings]) {
    report(error.pos[0], [], syntaxMessage(error.code, text, error.pos[0]));
  }
  if (document.errors.length > 0) return { root: null, problems, position };
  if (document.contents === null || (isScalar(document.contents) && document.contents.value === null)) {
    report(0, [], `the file is empty; expected at least ${least}`);
    return { root: null, problems, position };
  }
  const reader = new Reader(surroundings, report);
  return { root: reader.read(document.contents, [], 0, 0), problems, position };
}

function positionsIn(text: string): Source['position'] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return (offset) => {
    const inside = Math.min(Math.max(offset, 0), text.length);
    let [low, high] = [0, starts.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((starts[middle] ?? 0) <= inside) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: inside - (starts[low] ?? 0) + 1 };
  };
}

class Reader {
  readonly #surroundings: Surroundings | null;
  readonly #report: (offset: number, path: Path, message: string) => void;
  readonly #anchors = new Map<string, Node>();
  /** The anchored nodes that are being read: an alias to one of them would never end. */
  readonly #open = new Set<Node>();
  #insideAliases = 0;
  #repeated = 0;
  #gaveUp = false;

  constructor(
    surroundings: Surroundings | null,
    report: (offset: number, path: Path, message: string) => void,
  ) {
    this.#surroundings = surroundings;
    this.#report = report;
  }

  /** `offset`: where the value would be if it is not there at all (`key:` and nothing after it). */
  read(node: Node | null, path: Path, offset: number, depth: number): Located {
    const place = { path, offset: node?.range?.[0] ?? offset };
    const nothing: LocatedScalar = {
      kind: 'scalar',
      ...place,
      value: null,
      written: '',
      origin: 'file',
      readings: 0,
    };
    if (node === null || this.#gaveUp) return nothing;
    if (depth > DEEPEST) return this.#giveUp(nothing, `nested deeper than ${DEEPEST} levels`);
    if (this.#insideAliases > 0 && ++this.#repeated > MOST_REPEATED) {
      return this.#giveUp(
        nothing,
        `aliases repeat more than ${MOST_REPEATED} values; write them out or use fewer`,
      );
    }
    if (isAlias(node)) return this.#alias(node.source, path, place.offset, depth) ?? nothing;
    if (node.anchor !== undefined) this.#anchors.set(node.anchor, node);
    if (isScalar(node)) return this.#scalar(node.value, nothing);
    this.#open.add(node);
    const located = isMap(node)
      ? this.#map(node.items as Pair<Node, Node | null>[], place, depth)
      : this.#list(isSeq(node) ? (node.items as Node[]) : [], place, depth);
    this.#open.delete(node);
    return located;
  }

  /** The rest of the file is not read: one problem of this kind is enough. */
  #giveUp(nothing: LocatedScalar, message: string): Located {
    this.#gaveUp = true;
    // A path of hundreds of steps helps nobody.
    this.#report(nothing.offset, nothing.path.slice(0, 4), message);
    return nothing;
  }

  #alias(name: string, path: Path, offset: number, depth: number): Located | null {
    const target = this.#anchors.get(name);
    if (target === undefined || this.#open.has(target)) {
      // The name is not shown: an unquoted secret that begins with `*` reads as one.
      const message =
        target === undefined ? 'is an alias (*) to an anchor (&) that is not there' : 'contains itself';
      this.#report(offset, path, `${message}; if it is a text, put it in quotes`);
      return null;
    }
    this.#insideAliases++;
    const located = this.read(target, path, offset, depth + 1);
    this.#insideAliases--;
    return located;
  }

  #scalar(value: unknown, nothing: LocatedScalar): Located {
    if (typeof value === 'string') {
      if (this.#surroundings === null) return { ...nothing, value, written: value };
      const { text, origin, problems } = substitute(value, this.#surroundings);
      for (const problem of problems) this.#report(nothing.offset, nothing.path, problem);
      // Where it could not be replaced the problem is told; nothing else is to be said of that value.
      return { ...nothing, value: text, written: value, origin: problems.length > 0 ? 'unknown' : origin };
    }
    if (typeof value === 'number' && !Number.isFinite(value)) {
      this.#report(nothing.offset, nothing.path, 'expected a finite number');
      return nothing;
    }
    if (typeof value === 'number' || typeof value === 'boolean') {
      return { ...nothing, value, written: String(value) };
    }
    return nothing;
  }

  #list(items: Node[], place: Place, depth: number): LocatedList {
    const read = items.map((item, index) => this.read(item, [...place.path, index], place.offset, depth + 1));
    return { kind: 'list', ...place, items: read };
  }

  #map(pairs: Pair<Node, Node | null>[], place: Place, depth: number): LocatedMap {
    const map: LocatedMap = { kind: 'map', ...place, entries: new Map() };
    /** `<<`: keys of another map, which the map's own take precedence over. */
    const merged: LocatedMap[] = [];
    for (const { key, value } of pairs) {
      const offset = key?.range?.[0] ?? place.offset;
      // A key such as 429 is a name, whatever YAML takes it for.
      const name = isScalar(key) ? (typeof key.value === 'string' ? key.value : key.source) : undefined;
      if (name === undefined || name === '' || name === '__proto__') {
        this.#report(offset, place.path, 'expected a plain name as the key');
        continue;
      }
      const path = [...place.path, name];
      const located = this.read(value, path, offset, depth + 1);
      if (name === '<<') {
        for (const part of located.kind === 'list' ? located.items : [located]) {
          if (part.kind === 'map') merged.push(part);
          else this.#report(offset, path, 'expected a map, or a list of maps, to take keys from');
        }
      } else if (map.entries.has(name))
        this.#report(offset, path, 'this key is already there; a key stands once');
      else map.entries.set(name, { offset, value: located });
    }
    for (const part of merged) {
      for (const [name, entry] of part.entries) if (!map.entries.has(name)) map.entries.set(name, entry);
    }
    return map;
  }
}
