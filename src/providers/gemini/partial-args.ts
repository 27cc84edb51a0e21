import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import { readPath, type Step } from './json-path.ts';
import { printed } from './printed.ts';

/** No list has more items than this, nor does one begin far behind its end. */
const MOST_ITEMS = 100_000;

type Leaf = string | number | boolean | null;
/** JSON that came whole. */
type Whole = { json: string };
/** Arguments as they come to be. Objects are maps: their names are the model's own, `__proto__` among them. */
type Node = Leaf | Whole | Node[] | Map<string, Node>;

/**
 * The arguments of a call that come in pieces: each names where in the arguments it belongs, and pieces of a text follow each other. They may
 * come in any order, so what they make is known at the end.
 */
export class PartialArgs {
  readonly #root = new Map<string, Node>();

  /** One of `functionCall.partialArgs`. False: it makes no sense. */
  add(piece: Json): boolean {
    if (!isJsonObject(piece) || typeof piece['jsonPath'] !== 'string') return false;
    const steps = readPath(piece['jsonPath']);
    const value = leafOf(piece);
    if (steps === null || steps.length === 0) return false;
    // A piece without a value only says that the one before was the last.
    return value === undefined || this.#put(steps, value);
  }

  /** What came of the arguments as a whole. False: too deep to be printed again. */
  addAll(args: JsonObject): boolean {
    for (const [name, value] of Object.entries(args)) {
      const json = printed(value);
      if (json === null) return false;
      this.#root.set(name, { json });
    }
    return true;
  }

  /** The arguments as JSON. */
  get text(): string {
    return textOf(this.#root);
  }

  #put(steps: readonly Step[], value: Leaf): boolean {
    let node: Node = this.#root;
    for (const [index, step] of steps.entries()) {
      const next = steps[index + 1];
      const there: Node | undefined = childOf(node, step);
      let child: Node;
      if (next === undefined)
        child = typeof there === 'string' && typeof value === 'string' ? there + value : value;
      else if (there instanceof Map || Array.isArray(there)) child = there;
      else if (there === undefined || there === null)
        child = typeof next === 'number' ? [] : new Map<string, Node>();
      else return false;
      if (!setChild(node, step, child)) return false;
      node = child;
    }
    return true;
  }
}

function childOf(node: Node, step: Step): Node | undefined {
  if (Array.isArray(node)) return typeof step === 'number' ? node[step] : undefined;
  return node instanceof Map ? node.get(String(step)) : undefined;
}

function setChild(node: Node, step: Step, child: Node): boolean {
  if (node instanceof Map) node.set(String(step), child);
  else if (Array.isArray(node) && typeof step === 'number' && step <= node.length && step < MOST_ITEMS) {
    node[step] = child;
  } else return false;
  return true;
}

function leafOf({ stringValue, numberValue, boolValue, nullValue }: JsonObject): Leaf | undefined {
  if (typeof stringValue === 'string') return stringValue;
  if (typeof numberValue === 'number') return numberValue;
  if (typeof boolValue === 'boolean') return boolValue;
  return nullValue === undefined ? undefined : null;
}

function textOf(node: Node): string {
  if (Array.isArray(node)) return `[${node.map(textOf).join(',')}]`;
  if (typeof node === 'object' && node !== null && 'json' in node) return node.json;
  if (!(node instanceof Map)) return JSON.stringify(node);
  return `{${[...node].map(([name, inner]) => `${JSON.stringify(name)}:${textOf(inner)}`).join(',')}}`;
}
