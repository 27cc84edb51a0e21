import type { OutcomeKind } from '../core/outcome.ts';
import type { Metrics } from './metrics.ts';
import type { Counter, Histogram } from './series.ts';

/** The series of one provider's model. */
export class UpstreamSeries {
  readonly #metrics: Metrics;
  readonly #labels: { provider: string; model: string };
  readonly #byOutcome = new Map<OutcomeKind, Counter>();
  readonly firstToken: Histogram;

  constructor(metrics: Metrics, provider: string, model: string) {
    this.#metrics = metrics;
    this.#labels = { provider, model };
    this.firstToken = metrics.firstTokens.with(this.#labels);
  }

  tried(outcome: OutcomeKind): void {
    let counter = this.#byOutcome.get(outcome);
    if (counter === undefined) {
      counter = this.#metrics.attempts.with({ ...this.#labels, outcome });
      this.#byOutcome.set(outcome, counter);
    }
    counter.value++;
  }

  continued(how: 'prefill' | 'again'): void {
    this.#metrics.continuations.with({ ...this.#labels, how }).value++;
  }

  interrupted(): void {
    this.#metrics.interruptions.with(this.#labels).value++;
  }

  droppedEvent(): void {
    this.#metrics.droppedEvents.with({ provider: this.#labels.provider }).value++;
  }
}
