import type { Run } from './fleet.ts';
import type { Served } from './gateway.ts';

/** A table as the documentation has it. */
export interface Table {
  title: string;
  /** What was simulated, in a sentence or two. */
  about: string;
  head: readonly string[];
  rows: readonly (readonly string[])[];
}

/** Of those that came between the two moments. */
export function between(served: readonly Served[], from: number, to: number): Served[] {
  return served.filter(({ at }) => at >= from && at < to);
}

/** That share (0 to 1) had their first content within so many milliseconds; those with none count as slowest of all. */
export function timeOf(served: readonly Served[], share: number): number {
  const times = served.map(({ by, ms }) => (by === null ? Infinity : ms)).sort((a, b) => a - b);
  return times[Math.min(times.length - 1, Math.ceil(share * times.length) - 1)] ?? Number.NaN;
}

/** The share of the requests that this target was asked first. */
export function shareOf(served: readonly Served[], id: string): number {
  return served.filter(({ first }) => first === id).length / served.length;
}

export function errors(served: readonly Served[]): number {
  return served.filter(({ by }) => by === null).length;
}

/** Tries for each request. */
export function triesEach(served: readonly Served[]): number {
  return served.reduce((sum, { tries }) => sum + tries, 0) / served.length;
}

export function sum(counts: Run['asked']): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}

/** `340 ms`, `2.1 s`. */
export function time(ms: number): string {
  if (!Number.isFinite(ms)) return 'never';
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** `12 %`, `0.4 %`. */
export function percent(share: number): string {
  const value = share * 100;
  return `${value !== 0 && value < 9.95 ? value.toFixed(1) : Math.round(value)} %`;
}

export function markdown({ title, about, head, rows }: Table): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [
    `### ${title}`,
    '',
    about,
    '',
    line(head),
    line(head.map((_, index) => (index === 0 ? '---' : '---:'))),
    ...rows.map(line),
  ].join('\n');
}
