import type { Failure } from '../core/outcome.ts';
import type { Speed } from '../resilience/speed.ts';
import type { Upstream } from './upstream.ts';

/** Tells what one try finds out of an upstream to those who choose among upstreams, and to its pacer. */
export class Watch {
  readonly #upstream: Upstream;
  readonly #speed: Speed;
  readonly #startedAt: number;
  #waits = true;

  constructor(upstream: Upstream, streaming: boolean, startedAt: number) {
    this.#upstream = upstream;
    this.#speed = streaming ? upstream.speed.stream : upstream.speed.plain;
    this.#startedAt = startedAt;
    this.#speed.begun(startedAt);
  }

  /** The answer has come, or the first content of one. */
  answered(now: number): void {
    this.#waits = false;
    this.#speed.content(now - this.#startedAt, now);
    this.#upstream.pacer?.succeeded(this.#startedAt);
  }

  /** `counts`: against the upstream. What breaks after its first content was as fast as it was. */
  failed({ kind }: Failure, counts: boolean, now: number): void {
    if (kind === 'rate_limited')
      this.#upstream.pacer?.refused(this.#startedAt, this.#upstream.cooldownLeft());
    if (!this.#waits) return;
    this.#waits = false;
    const ran = now - this.#startedAt;
    if (counts || kind === 'rate_limited') this.#speed.failed(ran, now);
    else this.#speed.cutShort(ran, now);
  }
}
