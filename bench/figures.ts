/** Figures as they are read: as they are, or next to those of another row in the same round. */
import { type Comparison, type Figure, type PartName, partOf } from './parts.ts';
import { DIRECT, type Results, valuesOf } from './results.ts';
import { rowOf } from './rows.ts';
import { known, median, perRound } from './statistics.ts';

export interface Look {
  figure: Figure;
  as: Comparison;
  /** A ratio to this row, and not to the part's yardstick. */
  to?: string;
}

/** One for each round that both have; empty if there is nothing to compare with. */
export function seen(results: Results, part: PartName, row: string, look: Look): number[] {
  const { figure, as } = look;
  const values = valuesOf(results, part, row, figure);
  if (as === 'value') return known(values);
  if (row === DIRECT) return [];
  const other = otherOf(part, row, look);
  if (other === undefined) return [];
  if (other === row) return values.length === 0 ? [] : [1];
  const how = as === 'added' ? (a: number, b: number) => a - b : (a: number, b: number) => a / b;
  return known(perRound(values, valuesOf(results, part, other, figure), how));
}

function otherOf(part: PartName, row: string, { as, to }: Look): string | undefined {
  if (as === 'added') return DIRECT;
  return as === 'variant' ? rowOf(row)?.varies : (to ?? partOf(part).yardstick);
}

/** The median; and where it was compared, the lowest and the highest round. */
export function inWords(values: readonly number[], as: Comparison): string {
  if (values.length === 0) return '';
  const middle = number(median(values));
  if (as === 'value' || values.length === 1) return middle;
  return `${middle} (${number(Math.min(...values))} to ${number(Math.max(...values))})`;
}

export function number(value: number): string {
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString('en');
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2);
}
