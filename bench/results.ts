/** What a run found, as it is written with --json and read with --against. Lists hold one figure for each round. */

export interface Results {
  date: string;
  machine: string;
  node: string;
  loader: string;
  /** Processes that wanted to run in the minute before: how busy the machine was with other things. */
  loadBefore: number;
  quick: boolean;
  loads: LoadRow[];
  latency: LatencyRow[];
  paced: PacedRow[];
}

export interface LoadRow {
  load: string;
  contestant: string;
  cpuMicros: number[];
  perSecond: number[];
  rssMb: number[];
  /** read() calls a request. */
  reads: number[];
  failed: number;
}

/** At a fixed rate; `direct` is the upstream without a gateway. Milliseconds. */
export interface LatencyRow {
  contestant: string;
  p50: number[];
  p99: number[];
  p999: number[];
  failed: number;
}

/** Streams whose events come apart, at a fixed rate. */
export interface PacedRow {
  contestant: string;
  /** For each stream; NaN for `direct`, which has no gateway. (JSON has no NaN: there it is null.) */
  cpuMicros: number[];
  reads: number[];
  /** Milliseconds from the upstream writing the first content to its arrival. */
  firstP50: number[];
  firstP99: number[];
  failed: number;
}

export function readResults(json: string): Results {
  return JSON.parse(json, (_key, value: unknown) => (value === null ? Number.NaN : value)) as Results;
}

export function median(values: readonly number[]): number {
  const sorted = values.filter((value) => !Number.isNaN(value)).toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle] as number;
  return ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
}

/** Each round by itself, as what slows the machine down for a while slows down both. */
export function perRound(
  values: readonly number[],
  yardstick: readonly number[] | undefined,
  how: (value: number, yardstick: number) => number,
): number[] {
  return values.map((value, round) => how(value, yardstick?.[round] ?? Number.NaN));
}

export const ratio = (value: number, yardstick: number): number => value / yardstick;
export const difference = (value: number, yardstick: number): number => value - yardstick;
