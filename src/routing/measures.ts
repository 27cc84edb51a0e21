/** What is known of targets when one has to be chosen. `T` is what a leaf of the tree holds. */
export interface Measures<T> {
  /** Names the target, `provider/model`: the same in every gateway, and after a reload. */
  id(target: T): string;
  /** Could it be asked now? False where a breaker, its keys' cooldowns or its own limits stand in the way. */
  usable(target: T): boolean;
  /** Decaying average of the time to its first content, failures counted in, for requests of this kind (streamed or not). Milliseconds; null: nothing is known. */
  latency(target: T): number | null;
  /** That quantile (0 to 1) of the times that were measured lately. Milliseconds; null: too few to say. */
  quantile(target: T, share: number): number | null;
  /** Requests under way there, from this process. */
  inFlight(target: T): number;
  /** What this request may cost there, in one unit for all; null: no price is known. */
  cost(target: T): number | null;
  /** The share of its provider's rate limits that is left, 0 to 1; null: it has not said. */
  headroom(target: T): number | null;
}
