import { isUtf8 } from 'node:buffer';
import { type CancelListener, Cancellation, type CancelReason } from '../core/cancellation.ts';
import type { Clock } from '../core/clock.ts';
import { isLarge } from '../core/turns.ts';
import type { LogReading } from '../replay/answer-log.ts';
import {
  type AnswerCache,
  type CachedAnswer,
  type CachePlace,
  EVERYONE,
  MOST_BYTES,
} from '../replay/cache.ts';
import { cacheKey, cacheKeyOfLarge, type KeyParts } from '../replay/cache-key.ts';
import { Audience, type Flight, type Flights, type Follower } from '../replay/flights.ts';
import type { CachedNode } from '../routing/tree.ts';
import type { Target } from '../upstream/registry.ts';
import { type CacheControl, readCacheControl } from './cache-control.ts';
import { type Reach, reachOf } from './cache-node.ts';
import { dialectHeaders } from './dialect-headers.ts';
import type { Exchange } from './exchange.ts';
import { requestFacts } from './facts.ts';
import type { Job } from './job.ts';
import { SharedExchange } from './shared-exchange.ts';

/** Of the process. */
export interface CacheServices {
  store: AnswerCache;
  flights: Flights;
}

/** An answer that need not be asked for: one that is kept, or one that another request is being given. `gone`: the client left while it waited. */
export type Found = { kind: 'kept' } & (
  | { how: 'hit'; answer: CachedAnswer }
  | { how: 'shared'; follower: Follower }
  | { how: 'gone' }
);

/** Nobody wants what was found. */
export function letGo(found: Found): void {
  if (found.how === 'shared') found.follower.leave();
}

export interface CacheOptions {
  exchange: Exchange;
  job: Pick<Job, 'principal' | 'request' | 'model' | 'entry'>;
  /** Of the client's headers, those that go on. */
  forwardHeaders: readonly string[];
  clock: Clock;
  cache: CacheServices;
}

/** What is found nowhere is asked for, and others may share it meanwhile. */
interface Lead {
  place: CachePlace;
  reach: Reach;
  flight: Flight;
}

/** What a host keeps and changes by it: the same words mean something else the next time. */
const CHANGING = ['conversation', 'thread', 'container'];

/**
 * One request on its way past the nodes that keep answers. Answer to `exchange` in place of the client's own: so what the client is given
 * is kept, and those who ask the same meanwhile share it. The work is that of all of them, and ends when the last one has left.
 */
export class CacheLookups implements CancelListener {
  readonly exchange: Exchange;
  readonly #options: CacheOptions;
  readonly #work = new Cancellation();
  readonly #audience = new Audience(this.#work);
  readonly #leads: Lead[] = [];
  /** The one whose target answers. */
  #current: Lead | null = null;
  #answers = false;
  /** How long the answer may be kept; null: it may not. Milliseconds. */
  #ttl: number | null = null;
  #control: CacheControl | null = null;
  /** The client's own, of a stream that others may share. */
  #ownReading: LogReading | null = null;

  constructor(options: CacheOptions) {
    this.#options = options;
    this.exchange = new SharedExchange(options.exchange, this.#work, {
      isMiss: () => options.job.entry.cache !== undefined,
      flight: () => this.#current?.flight ?? null,
      reads: (reading) => {
        this.#ownReading = reading;
      },
    });
    this.#audience.enter();
    options.exchange.cancellation.add(this);
  }

  /** Of the client. */
  cancelled(reason: CancelReason): void {
    if (reason !== 'client_gone') {
      this.#work.cancel(reason);
      return;
    }
    this.#audience.leave();
    this.#ownReading?.stop();
  }

  /** Looks for an answer where a node says so. Null: there is none. `cancellation`: of this part of the walk. */
  async lookUp(node: CachedNode<Target>, cancellation: Cancellation): Promise<Found | null> {
    const { exchange, job, cache } = this.#options;
    if (this.#answers || !mayBeKept(job.request)) return null;
    job.entry.cache = 'miss';
    this.#control ??= readCacheControl(exchange.header('cache-control'));
    const { mayLook, mayKeep } = this.#control;
    if (!mayKeep) return null;
    const reach = reachOf(node, () => this.#facts());
    const scope = node.cache.shared ? EVERYONE : job.principal.tenant.id;
    const parts = this.#keyParts(node, reach, scope);
    const { body } = job.request;
    const place = {
      scope,
      key: isLarge(body.bytes) ? await cacheKeyOfLarge(parts, body) : cacheKey(parts, body),
    };
    if (!mayLook) {
      this.#lead(place, reach, false);
      return null;
    }
    const near = this.#hit(cache.store.near(place));
    if (near !== null) return near;
    let flight = cache.flights.find(place.key);
    if (flight === null) {
      const asked = cache.store.far(place);
      if (asked !== null) {
        // Meanwhile another request may have begun, or even have ended.
        const far = this.#hit(await asked) ?? this.#hit(cache.store.near(place));
        if (far !== null) return far;
        flight = cache.flights.find(place.key);
      }
    }
    if (flight !== null) {
      const found = await this.#follow(flight, reach, cancellation);
      if (found !== null) return found;
    }
    // Whoever was let down waits for nobody again: a failure that takes long would be waited for by one after the other.
    this.#lead(place, reach, true);
    return null;
  }

  /** This target answers now: at first, or in the place of one that broke off. Before anything is said to `exchange`. */
  answering(target: Target): void {
    const { cacheTtl } = target.settings;
    if (!this.#answers) {
      this.#answers = true;
      this.#ttl = cacheTtl;
      for (const lead of this.#leads) {
        if (cacheTtl !== null && lead.reach.targets.has(target)) this.#current = lead;
        else this.#release(lead);
      }
    } else if (cacheTtl === null || this.#ttl === null || this.#current?.reach.targets.has(target) !== true) {
      this.#ttl = null;
    } else this.#ttl = Math.min(this.#ttl, cacheTtl);
  }

  /** The request is over, and its entry says how. Once, always. */
  end(): void {
    const { exchange, job, cache } = this.#options;
    const { entry } = job;
    const { outcome } = entry;
    exchange.cancellation.remove(this);
    if (this.#current !== null && outcome === 'ok' && entry.status === 200) this.#keep(this.#current);
    const kind = outcome === 'refused' || outcome === 'unanswered' ? null : outcome;
    for (const { place, flight } of this.#leads) {
      cache.flights.unlist(place.key, flight);
      flight.close(kind);
    }
    // The work went on for others.
    if (outcome === 'ok' && exchange.cancellation.reason === 'client_gone') {
      entry.outcome = 'client_gone';
      if (this.#ownReading === null) entry.status = 499;
    }
  }

  #facts() {
    const { exchange, job } = this.#options;
    return requestFacts(job.principal, job.request.body.value, exchange.header('x-spillway-metadata'));
  }

  #keyParts(node: CachedNode<Target>, reach: Reach, scope: string): KeyParts {
    const { job, exchange, forwardHeaders } = this.#options;
    const { request, model } = job;
    const headers = dialectHeaders(exchange, request.dialect) ?? [];
    for (const name of forwardHeaders) {
      const value = exchange.header(name);
      if (value !== undefined) headers.push(name, value);
    }
    return {
      scope,
      dialect: request.dialect,
      model: model.name,
      node: node.label,
      targets: reach.fingerprint,
      streaming: request.streaming,
      headers,
    };
  }

  #hit(answer: CachedAnswer | null): Found | null {
    if (answer === null) return null;
    const age = this.#options.clock.wall() - answer.storedAt;
    const { maxAge } = this.#control as CacheControl;
    return age <= maxAge * 1000 ? { kind: 'kept', how: 'hit', answer } : null;
  }

  /** Null: it goes on by itself. */
  async #follow(flight: Flight, reach: Reach, cancellation: Cancellation): Promise<Found | null> {
    const { exchange, job, clock } = this.#options;
    // Two that wait for each other would wait long.
    for (const lead of this.#leads) this.#release(lead);
    const follower = flight.join();
    const from = clock.now();
    const left = Math.max(0, exchange.readAt + reach.total - from);
    const how = await follower.boarding(clock, left, cancellation);
    job.entry.waitedMs += clock.now() - from;
    if (how === 'begun') return { kind: 'kept', how: 'shared', follower };
    return exchange.cancellation.reason === 'client_gone' ? { kind: 'kept', how: 'gone' } : null;
  }

  #lead(place: CachePlace, reach: Reach, listed: boolean): void {
    const flight = this.#options.cache.flights.start(place.key, this.#audience, listed);
    this.#leads.push({ place, reach, flight });
  }

  /** Nobody is to wait for it any more. */
  #release({ place, flight }: Lead): void {
    this.#options.cache.flights.unlist(place.key, flight);
    flight.release();
  }

  #keep({ place, flight }: Lead): void {
    const { cache, clock } = this.#options;
    const body = flight.body ?? flight.log.bytes();
    const { head } = flight;
    if (this.#ttl === null || head === null || body === null) return;
    if (body.length > MOST_BYTES || !isUtf8(body)) return;
    const storedAt = clock.wall();
    cache.store.put(place, { head, body, storedAt, expiresAt: storedAt + this.#ttl });
  }
}

function mayBeKept({ dialect, body }: Job['request']): boolean {
  if (dialect === 'count_tokens' || body.value['background'] === true) return false;
  return CHANGING.every((name) => body.value[name] === undefined || body.value[name] === null);
}
