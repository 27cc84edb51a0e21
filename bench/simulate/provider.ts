import type { Chance, Clock, Timer } from '../../src/core/clock.ts';
import type { WireHeaders } from '../../src/providers/retry-after.ts';
import { exponential, lognormal } from './chance.ts';

/** A provider and its model, as it behaves. Times in milliseconds. */
export interface ProviderModel {
  /** `provider/model`. */
  id: string;
  /** To the first content: the median, and the standard deviation of the logarithm. */
  median: number;
  spread: number;
  /** The mean time from the first content to the end of a stream. */
  talks: number;
  /** Requests that it works at together; what comes on top queues up. Null: as many as come. */
  slots?: number;
  /** Requests a minute, refilled steadily; more is a 429, and every answer says what is left. */
  perMinute?: number;
  /** What a request costs there. */
  price?: number;
  /** How it is at a given moment; left out: always well. */
  weather?(at: number): { slower?: number; failing?: number; silent?: number };
}

/** What becomes of a request. */
export interface Caller {
  content(): void;
  finished(): void;
  failed(status: 429 | 500, retryAfterMs: number | null): void;
  /** The headers of whatever is answered; before everything else. */
  headers(headers: WireHeaders): void;
}

/** A request there. */
export interface Call {
  abort(): void;
}

/** How long a 429 or a 500 takes. */
const REFUSAL = 50;

/** One provider, which all gateways of a fleet ask. */
export class Provider {
  readonly model: ProviderModel;
  /** Requests that reached it. */
  asked = 0;
  refused = 0;
  readonly #clock: Clock;
  readonly #chance: Chance;
  #busy = 0;
  readonly #queue: RunningCall[] = [];
  #tokens: number;
  #tokensAt = 0;

  constructor(model: ProviderModel, clock: Clock, chance: Chance) {
    this.model = model;
    this.#clock = clock;
    this.#chance = chance;
    this.#tokens = model.perMinute ?? 0;
  }

  ask(caller: Caller): Call {
    this.asked++;
    const call = new RunningCall(this, caller, this.#clock);
    const { failing = 0 } = this.#weather();
    const headers = this.#takeToken();
    if (headers !== null && this.#tokens < 0) {
      const { perMinute = 1 } = this.model;
      const wait = (-this.#tokens * 60_000) / perMinute;
      this.#tokens += 1;
      this.refused++;
      call.wait(REFUSAL, () => {
        caller.headers(headers);
        caller.failed(429, Math.ceil(wait));
      });
    } else if (this.#chance() < failing) {
      call.wait(REFUSAL, () => {
        caller.headers(headers ?? {});
        caller.failed(500, null);
      });
    } else if (this.#busy < (this.model.slots ?? Infinity)) this.#start(call, headers);
    else {
      this.#queue.push(call);
      call.onTurn = () => this.#start(call, headers);
    }
    return call;
  }

  /** A call that held a slot is over. */
  freed(): void {
    this.#busy--;
    this.#queue.shift()?.onTurn?.();
  }

  /** A call is given up while it queues. */
  leftQueue(call: RunningCall): void {
    this.#queue.splice(this.#queue.indexOf(call), 1);
  }

  #start(call: RunningCall, headers: WireHeaders | null): void {
    this.#busy++;
    call.onTurn = null;
    call.holdsSlot = true;
    const { median, spread, talks } = this.model;
    const { slower = 1, silent = 0 } = this.#weather();
    const first = lognormal(median, spread, this.#chance) * slower;
    const rest = exponential(talks, this.#chance);
    if (this.#chance() < silent) return;
    call.wait(first, () => {
      if (headers !== null) call.caller.headers(headers);
      call.caller.content();
      call.wait(rest, () => {
        call.release();
        call.caller.finished();
      });
    });
  }

  #weather() {
    return this.model.weather?.(this.#clock.now()) ?? {};
  }

  #takeToken(): WireHeaders | null {
    const { perMinute } = this.model;
    if (perMinute === undefined) return null;
    const now = this.#clock.now();
    this.#tokens = Math.min(perMinute, this.#tokens + ((now - this.#tokensAt) * perMinute) / 60_000) - 1;
    this.#tokensAt = now;
    const remaining = Math.max(0, this.#tokens);
    return {
      'x-ratelimit-limit-requests': String(perMinute),
      'x-ratelimit-remaining-requests': String(Math.floor(remaining)),
      'x-ratelimit-reset-requests': `${Math.ceil(((perMinute - remaining) * 60_000) / perMinute)}ms`,
    };
  }
}

class RunningCall implements Call {
  readonly caller: Caller;
  holdsSlot = false;
  /** While it queues: a slot is free. */
  onTurn: (() => void) | null = null;
  readonly #provider: Provider;
  readonly #clock: Clock;
  #timer: Timer | null = null;

  constructor(provider: Provider, caller: Caller, clock: Clock) {
    this.#provider = provider;
    this.caller = caller;
    this.#clock = clock;
  }

  wait(ms: number, fn: () => void): void {
    this.#timer = this.#clock.schedule(ms, fn);
  }

  abort(): void {
    this.#timer?.cancel();
    if (this.onTurn !== null) this.#provider.leftQueue(this);
    this.release();
  }

  release(): void {
    if (!this.holdsSlot) return;
    this.holdsSlot = false;
    this.#provider.freed();
  }
}
