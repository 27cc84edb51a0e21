/** Longer names are no model's, and are not looked for. Characters. */
export const LONGEST_NAME = 256;

/** Where in a name of an entry a host's own way of writing leaves room for it. */
const NAME = '{}';

const WILDCARD = /[*#]/;

/** What a name must begin with, end with and hold if it is to fit: told in less time than whether it does. */
interface Outline {
  head: string;
  tail: string;
  parts: readonly string[];
}

/** Text before and after the name, the latter from its end: it is looked for from there. */
interface Spelling {
  before: string;
  after: string;
  outline: Outline;
  letters: number;
}

interface Pattern<T> {
  text: string;
  outline: Outline;
  letters: number;
  /** Of the entry: earlier ones win a tie. */
  order: number;
  value: T;
}

/** `{}` once, and something beside it. */
export function isSpelling(text: string): boolean {
  return text !== NAME && text.split(NAME).length === 2;
}

export function isPattern(name: string): boolean {
  return WILDCARD.test(name);
}

/** Finds what belongs to a model's name. A name in full comes first, then the pattern or spelling with the most letters. */
export class Names<T> {
  readonly #exact = new Map<string, { value: T; order: number }>();
  readonly #patterns: Pattern<T>[];
  readonly #spellings: readonly Spelling[];

  constructor(spellings: readonly string[], named: readonly { names: readonly string[]; value: T }[]) {
    this.#spellings = spellings.map((text) => {
      const [before = '', after = ''] = text.split(NAME);
      const outline = outlineOf(`${before}*${after}`);
      return { before, after: reversed(after), outline, letters: lettersOf(before) + lettersOf(after) };
    });
    const patterns: Pattern<T>[] = [];
    for (const [order, { names, value }] of named.entries()) {
      for (const name of names) {
        if (isPattern(name)) patterns.push(patternOf(name, order, value));
        else if (!this.#exact.has(name)) this.#exact.set(name, { value, order });
      }
    }
    // The first that matches is then the best; those with as many letters stay in the order of the file.
    this.#patterns = patterns.sort((a, b) => b.letters - a.letters);
  }

  /** Its time does not depend on how many names there are, but for patterns. */
  find(name: string): T | null {
    const exact = this.#exact.get(name);
    if (exact !== undefined) return exact.value;
    const spelt = this.#spelt(name);
    const pattern = this.#patterns.find(({ text, outline }) => mayFit(outline, name) && matches(text, name));
    if (spelt === null || pattern === undefined) return spelt?.value ?? pattern?.value ?? null;
    const more = spelt.letters - pattern.letters || pattern.order - spelt.order;
    return more >= 0 ? spelt.value : pattern.value;
  }

  #spelt(name: string): { value: T; order: number; letters: number } | null {
    let best: { value: T; order: number; letters: number } | null = null;
    for (const { before, after, outline, letters } of this.#spellings) {
      if (!mayFit(outline, name)) continue;
      const starts = reach(before, name);
      if (starts.length === 0) continue;
      const ends = reach(after, reversed(name)).map((place) => name.length - place);
      for (const start of starts) {
        for (const end of ends) {
          const found = start < end ? this.#exact.get(name.slice(start, end)) : undefined;
          if (found === undefined) continue;
          const weight = letters + end - start;
          const isBetter =
            best === null || weight > best.letters || (weight === best.letters && found.order < best.order);
          if (isBetter) best = { ...found, letters: weight };
        }
      }
    }
    return best;
  }
}

function patternOf<T>(text: string, order: number, value: T): Pattern<T> {
  return { text, outline: outlineOf(text), letters: lettersOf(text), order, value };
}

function outlineOf(pattern: string): Outline {
  const parts = pattern.split(WILDCARD);
  return { head: parts[0] ?? '', tail: parts.at(-1) ?? '', parts: parts.filter((part) => part !== '') };
}

function mayFit({ head, tail, parts }: Outline, name: string): boolean {
  return name.startsWith(head) && name.endsWith(tail) && parts.every((part) => name.includes(part));
}

/** `*` says nothing. */
function lettersOf(pattern: string): number {
  return pattern.replaceAll('*', '').length;
}

export function matches(pattern: string, text: string): boolean {
  return reach(pattern, text).at(-1) === text.length;
}

/** The places of the text that a pattern may end at, in order. No pattern takes longer than its length times the text's. */
function reach(pattern: string, text: string): number[] {
  let places = [0];
  for (let at = 0; at < pattern.length; at++) {
    const [first] = places;
    if (first === undefined) return places;
    const sign = pattern[at] ?? '';
    if (sign === '*') {
      places = Array.from({ length: text.length + 1 - first }, (_, index) => first + index);
    } else {
      places = places.flatMap((place) => (fits(sign, text[place]) ? [place + 1] : []));
    }
  }
  return places;
}

/** No letter is none that anything fits. */
function fits(sign: string, letter: string | undefined): boolean {
  if (letter === undefined) return false;
  return sign === '#' ? letter >= '0' && letter <= '9' : sign === letter;
}

function reversed(text: string): string {
  return text.split('').reverse().join('');
}
