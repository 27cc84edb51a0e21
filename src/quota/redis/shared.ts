import type { Clock } from '../../core/clock.ts';
import type { StateClient } from '../../state/client.ts';
import type { StateUnavailable } from '../../state/unavailable.ts';
import type { DayIndex } from './day-index.ts';
import type { Keys } from './keys.ts';

/** What all accounts of a store share. */
export interface Shared {
  client: StateClient;
  clock: Clock;
  keys: Keys;
  index: DayIndex;
  /** What the store is called in Redis. */
  gateway: string;
  ledgerDays: number;
  /** How long one command may take. Milliseconds. */
  commandTimeout: number;
  /**
   * What amounts are booked by: the clock of the node that holds the key, as it is known here, unless a test has another one. Whole
   * milliseconds since 1970.
   */
  time(key?: string): number;
  /** The first argument of scripts: empty, or the time of a test. */
  handed(): string;
  /** Of a batch: higher than all before, so that accounts may come and go. */
  nextNumber(): number;
  /** Something that cannot be because Redis is away. */
  onFault(error: unknown): void;
  /** What went wrong, as whoever asks is told of it; reported if it is not that Redis is away. */
  asUnavailable(error: unknown): StateUnavailable;
}
