import { commonDenominator, type Fraction } from './fraction.ts';
import type { TokenPrices } from './settings.ts';

/** Tokens by what is paid for them. Whole, and not below 0. */
export interface PaidTokens {
  /** Of the prompt: neither read from a cache nor written to one. */
  fresh: number;
  read: number;
  write: number;
  writeHour: number;
  out: number;
}

/** Numerators over one denominator. */
interface Scaled<N> {
  in: N;
  read: N;
  write: N;
  writeHour: N;
  out: N;
  /** The most that a token of a prompt comes to, but for one that is to be kept for an hour: few ask for that. */
  dearest: N;
  denominator: N;
}

/** One set of prices. Costs are exact sums, rounded once: to the nearest nanodollar, halves up. */
export class Rates {
  readonly #exact: Scaled<bigint>;
  /** The same as plain numbers, where they are small enough to be exact. */
  readonly #plain: Scaled<number> | null;

  constructor(prices: TokenPrices) {
    const { in: fresh, cacheRead, cacheWrite, cacheWriteHour, out } = prices;
    const denominator = commonDenominator([fresh, cacheRead, cacheWrite, cacheWriteHour, out]);
    const over = (price: Fraction) => price.numerator * (denominator / price.denominator);
    const [read, write] = [over(cacheRead), over(cacheWrite)];
    const dearest = [over(fresh), read, write].reduce((a, b) => (a > b ? a : b));
    this.#exact = {
      in: over(fresh),
      read,
      write,
      writeHour: over(cacheWriteHour),
      out: over(out),
      dearest,
      denominator,
    };
    this.#plain = plain(this.#exact);
  }

  cost({ fresh, read, write, writeHour, out }: PaidTokens): number {
    const price = this.#plain;
    if (price !== null) {
      const prompt = fresh * price.in + read * price.read + write * price.write + writeHour * price.writeHour;
      const sum = prompt + out * price.out;
      if (sum <= LARGEST) return rounded(sum, price.denominator);
    }
    const exact = this.#exact;
    const prompt =
      BigInt(fresh) * exact.in +
      BigInt(read) * exact.read +
      BigInt(write) * exact.write +
      BigInt(writeHour) * exact.writeHour;
    return roundedExactly(prompt + BigInt(out) * exact.out, exact.denominator);
  }

  /** Of a prompt of that many tokens, whatever becomes of them, and that much output. */
  most(input: number, output: number): number {
    const price = this.#plain;
    if (price !== null) {
      const sum = input * price.dearest + output * price.out;
      if (sum <= LARGEST) return rounded(sum, price.denominator);
    }
    const exact = this.#exact;
    return roundedExactly(BigInt(input) * exact.dearest + BigInt(output) * exact.out, exact.denominator);
  }
}

/**
 * Up to here whole numbers are exact, and twice their remainder too. A sum that comes out smaller has lost nothing on the way: what
 * is added is not below 0, and no part of it that had to be rounded could be.
 */
const LARGEST = 2 ** 52;

function plain(exact: Scaled<bigint>): Scaled<number> | null {
  if (Object.values(exact).some((value: bigint) => value > BigInt(LARGEST))) return null;
  const entries = Object.entries(exact).map(([key, value]) => [key, Number(value)]);
  return Object.fromEntries(entries) as Scaled<number>;
}

function rounded(numerator: number, denominator: number): number {
  const rest = numerator % denominator;
  return (numerator - rest) / denominator + (rest * 2 >= denominator ? 1 : 0);
}

/** More than nine million dollars is told as that much. */
function roundedExactly(numerator: bigint, denominator: bigint): number {
  const whole = (numerator * 2n + denominator) / (denominator * 2n);
  return Number(whole < MOST ? whole : MOST);
}

const MOST = BigInt(Number.MAX_SAFE_INTEGER);
