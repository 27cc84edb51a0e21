/** A member's name or an item's place. */
export type Step = string | number;

/** No arguments lie deeper. */
const DEEPEST = 64;

/** `.name`, `[0]`, `['name']` or `["name"]`. */
const STEP = /\.([^.[\]]+)|\[(\d{1,6})\]|\[('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\]/y;

/** The steps of a path to one value (RFC 9535, singular queries), such as `$.rooms[0].name`; null for what is none. */
export function readPath(text: string): Step[] | null {
  if (!text.startsWith('$')) return null;
  const steps: Step[] = [];
  STEP.lastIndex = 1;
  while (STEP.lastIndex < text.length) {
    const step = STEP.exec(text);
    if (step === null || steps.length === DEEPEST) return null;
    const [, name, index, quoted] = step;
    if (index !== undefined) steps.push(Number(index));
    else steps.push(name ?? (quoted ?? '').slice(1, -1).replace(/\\(.)/gs, '$1'));
  }
  return steps;
}
