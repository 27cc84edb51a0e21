/** An exact number, not below 0. Prices are decimals, which binary numbers cannot add without losing a little each time. */
export interface Fraction {
  numerator: bigint;
  denominator: bigint;
}

/** Longer ones are no price. Characters. */
const LONGEST = 40;

/** A decimal such as `0.10`, `1e-7` or `3`, exactly as it is written; null for anything else. */
export function parseDecimal(text: string): Fraction | null {
  if (text.length > LONGEST) return null;
  const match = /^(\d+)(?:\.(\d+))?(?:e([+-]?\d{1,2}))?$/i.exec(text.trim());
  if (match === null) return null;
  const [, whole = '', fraction = '', exponent = '0'] = match;
  const numerator = BigInt(whole + fraction);
  const places = fraction.length - Number(exponent);
  return places > 0
    ? reduced(numerator, 10n ** BigInt(places))
    : { numerator: numerator * 10n ** BigInt(-places), denominator: 1n };
}

/** A number as it was written: 0.1 is a tenth, not the binary number next to it. Not below 0. */
export function fromNumber(value: number): Fraction {
  const fraction = parseDecimal(String(value));
  if (fraction === null) throw new RangeError(`expected a number of 0 or more, found ${value}`);
  return fraction;
}

/** A decimal, or two with a stroke between them: `0.15`, `1.32/9`. Null for anything else, and for 0. */
export function parseRatio(text: string): Fraction | null {
  const [above = '', below = '1', ...more] = text.split('/');
  const [over, under] = [parseDecimal(above), parseDecimal(below)];
  if (over === null || under === null || more.length > 0) return null;
  if (over.numerator === 0n || under.numerator === 0n) return null;
  return reduced(over.numerator * under.denominator, over.denominator * under.numerator);
}

export function times(a: Fraction, b: Fraction): Fraction {
  return reduced(a.numerator * b.numerator, a.denominator * b.denominator);
}

/** The smallest number that all denominators divide. */
export function commonDenominator(fractions: readonly Fraction[]): bigint {
  return fractions.reduce(
    (common, { denominator }) => (common / greatestDivisor(common, denominator)) * denominator,
    1n,
  );
}

function reduced(numerator: bigint, denominator: bigint): Fraction {
  const divisor = greatestDivisor(numerator, denominator);
  return { numerator: numerator / divisor, denominator: denominator / divisor };
}

function greatestDivisor(a: bigint, b: bigint): bigint {
  let [x, y] = [a, b];
  while (y !== 0n) [x, y] = [y, x % y];
  return x;
}
