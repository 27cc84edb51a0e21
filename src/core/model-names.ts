/** Longer names are no model's, and are not looked for. Characters. */
export const LONGEST_NAME = 256;

/** Where in a name of an entry a host's own way of writing leaves room for it. */
const NAME = '{}';

const WILDCARD = /[*#]/;

/** Text before and after the name, the latter from its end: it is looked for from there. */
interface Spelling {
  before: string;
  after: string;
  /** What a name must begin and end with, as with patterns. */
  head: string;
  tail: string;
  letters: number;
}

interface Pattern<T> {
  text: string;
  /** What a name must begin and end with: told in less time than the whole pattern. */
  head: string;
  tail: string;
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
      const [head = ''] = before.split(WILDCARD);
      const tail = after.split(WILDCARD).at(-1) ?? '';
      return { before, after: reversed(after), head, tail, letters: lettersOf(before) + lettersOf(after) };
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
    const pattern = this.#patterns.find(
      ({ text, head, tail }) => name.startsWith(head) && name.endsWith(tail) && matches(text, name),
    );
    if (spelt === null || pattern === undefined) return spelt?.value ?? pattern?.value ?? null;
    const more = spelt.letters - pattern.letters || pattern.order - spelt.order;
    return more >= 0 ? spelt.value : pattern.value;
  }

  #spelt(name: string): { value: T; order: number; letters: number } | null {
    let best: { value: T; order: number; letters: number } | null = null;
    const backwards = reversed(name);
    for (const { before, after, head, tail, letters } of this.#spellings) {
      if (!name.startsWith(head) || !name.endsWith(tail)) continue;
      const starts = placesOf(reach(before, name));
      if (starts.length === 0) continue;
      const ends = placesOf(reach(after, backwards)).map((place) => name.length - place);
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
  const parts = text.split(WILDCARD);
  return { text, head: parts[0] ?? '', tail: parts.at(-1) ?? '', letters: lettersOf(text), order, value };
}

/** `*` says nothing. */
function lettersOf(pattern: string): number {
  return pattern.replaceAll('*', '').length;
}

export function matches(pattern: string, text: string): boolean {
  return reach(pattern, text)[text.length] === true;
}

/** How far a pattern gets: true at each place of the text that it may end at. No pattern takes longer than its length times the text's. */
function reach(pattern: string, text: string): boolean[] {
  let places = Array.from({ length: text.length + 1 }, (_, place) => place === 0);
  for (const sign of pattern.split('')) {
    const first = places.indexOf(true);
    if (first === -1) return places;
    if (sign === '*') {
      places = places.map((_, place) => place >= first);
    } else {
      places = places.map((_, place) => places[place - 1] === true && fits(sign, text[place - 1] ?? ''));
    }
  }
  return places;
}

function fits(sign: string, letter: string): boolean {
  return sign === '#' ? letter >= '0' && letter <= '9' : sign === letter;
}

function placesOf(reached: readonly boolean[]): number[] {
  return reached.flatMap((is, place) => (is ? [place] : []));
}

function reversed(text: string): string {
  return text.split('').reverse().join('');
}
