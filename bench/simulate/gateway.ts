import { type CancelListener, Cancellation, type CancelReason, sleep } from '../../src/core/cancellation.ts';
import type { Chance, Clock, Timer } from '../../src/core/clock.ts';
import type { Failure } from '../../src/core/outcome.ts';
import type { Permit } from '../../src/resilience/breaker.ts';
import {
  breakerSchema,
  retrySchema,
  toBreakerSettings,
  toRetrySettings,
} from '../../src/resilience/schema.ts';
import { Hedges } from '../../src/routing/hedge.ts';
import { mapTree } from '../../src/routing/map-tree.ts';
import type { Measures } from '../../src/routing/measures.ts';
import type { TreeNode } from '../../src/routing/tree.ts';
import { type CallResult, walk } from '../../src/routing/walk.ts';
import { TargetMeasures } from '../../src/upstream/measures.ts';
import type { Lane, Target } from '../../src/upstream/registry.ts';
import { countsAgainst, ProviderKey, Upstream } from '../../src/upstream/upstream.ts';
import { Watch } from '../../src/upstream/watch.ts';
import type { Call, Caller, Provider } from './provider.ts';

const BREAKER = toBreakerSettings(breakerSchema.parse({}));
const { budget: BUDGET, maxRetryAfter: MAX_WAIT } = toRetrySettings(retrySchema.parse({}));

/** `timeouts.first_token`, as it is without a word. Milliseconds. */
const FIRST_TOKEN = 30_000;

/** What a client has seen of a request. */
export interface Served {
  /** When it came. Milliseconds from the beginning. */
  at: number;
  /** Who answered it; null: nobody. */
  by: string | null;
  /** From its coming to its first content, or to the error. */
  ms: number;
  tries: number;
  /** Who was asked first. */
  first: string | null;
}

/** A target of the simulation: as much of a real one as choosing needs, and whom to ask. */
interface Asked {
  target: Target;
  lane: Lane;
  provider: Provider;
}

interface Answer {
  by: string;
  content: number;
}

/**
 * One gateway: the walk, the choosing, breakers, cooldowns and what is known of upstreams are those of the product; only the HTTP is
 * not there. A target is asked once in each visit.
 */
export class Gateway {
  readonly #clock: Clock;
  readonly #chance: Chance;
  readonly #tree: TreeNode<Target>;
  readonly #asked = new Map<Target, Asked>();
  readonly #measures: Measures<Target>;
  readonly #hedges = new Hedges();
  /** Second targets that were started, and that answered first. */
  readonly hedged = { started: 0, won: 0 };

  constructor(tree: TreeNode<Provider>, clock: Clock, chance: Chance) {
    this.#clock = clock;
    this.#chance = chance;
    this.#tree = mapTree(tree, (provider) => this.#target(provider));
    this.#measures = new TargetMeasures({
      streaming: true,
      cost: (target) => this.#asked.get(target)?.provider.model.price ?? null,
    });
  }

  async serve(sticky: string | null): Promise<Served> {
    const at = this.#clock.now();
    const tries: string[] = [];
    const cancellation = new Cancellation();
    const answer = await walk<Target, Answer>(this.#tree, {
      facts: () => ({ lookup: () => undefined }),
      clock: this.#clock,
      chance: this.#chance,
      cancellation,
      measures: this.#measures,
      stickyValue: () => sticky,
      hedges: this.#hedges,
      hedged: (what) => {
        this.hedged[what]++;
      },
      lookUp: () => Promise.resolve(null),
      call: (target, ofCall) => this.#call(target, ofCall, tries),
      discard: () => {},
      ended: () => {},
      waitFor: (_, ms) => (ms > MAX_WAIT ? Promise.resolve(false) : sleep(this.#clock, ms, cancellation)),
    });
    return {
      at,
      by: answer?.by ?? null,
      ms: (answer?.content ?? this.#clock.now()) - at,
      tries: tries.length,
      first: tries[0] ?? null,
    };
  }

  #target(provider: Provider): Target {
    for (const { target, provider: known } of this.#asked.values()) if (known === provider) return target;
    const [name = '', model = ''] = provider.model.id.split('/');
    const upstream = new Upstream(
      { provider: name, model, key: new ProviderKey(1, null), modelLabel: model },
      this.#clock,
      this.#chance,
      () => {},
    );
    const lane: Lane = { upstream, guard: upstream.guard(BREAKER, BUDGET), headers: [], credentials: null };
    // What the choosing never looks at is left out.
    const target = { settings: { id: provider.model.id }, lanes: [lane], limiter: null } as unknown as Target;
    this.#asked.set(target, { target, lane, provider });
    return target;
  }

  #call(target: Target, cancellation: Cancellation, tries: string[]): Promise<CallResult<Answer>> {
    const { lane, provider } = this.#asked.get(target) as Asked;
    const coolsInMs = lane.upstream.cooldownLeft();
    const permit = coolsInMs > 0 ? null : lane.guard.breaker.acquire();
    if (permit === null) {
      return Promise.resolve({ kind: 'skipped', coolsInMs: lane.upstream.admits() ? coolsInMs : null });
    }
    tries.push(provider.model.id);
    return new Promise((resolve) => {
      new Try(lane.upstream, permit, provider, cancellation, this.#clock, resolve).start();
    });
  }
}

/** One try, and what is noted of it: as `upstream/visit.ts` and `upstream/attempt.ts` do it. */
class Try implements Caller, CancelListener {
  readonly #upstream: Upstream;
  readonly #permit: Permit;
  readonly #provider: Provider;
  readonly #cancellation: Cancellation;
  readonly #clock: Clock;
  readonly #resolve: (result: CallResult<Answer>) => void;
  readonly #watch: Watch;
  readonly #startedAt: number;
  #call: Call | null = null;
  #timer: Timer | null = null;

  constructor(
    upstream: Upstream,
    permit: Permit,
    provider: Provider,
    cancellation: Cancellation,
    clock: Clock,
    resolve: (result: CallResult<Answer>) => void,
  ) {
    this.#upstream = upstream;
    this.#permit = permit;
    this.#provider = provider;
    this.#cancellation = cancellation;
    this.#clock = clock;
    this.#resolve = resolve;
    this.#startedAt = clock.now();
    this.#watch = new Watch(upstream, true, this.#startedAt);
  }

  start(): void {
    this.#upstream.inFlight++;
    this.#timer = this.#clock.schedule(FIRST_TOKEN, () => {
      this.#call?.abort();
      this.#fail({ kind: 'timeout', status: null, message: '', retryAfterMs: null, error: null });
    });
    this.#call = this.#provider.ask(this);
    this.#cancellation.add(this);
  }

  headers(headers: Parameters<Caller['headers']>[0]): void {
    this.#upstream.headroom.read(headers);
  }

  content(): void {
    this.#timer?.cancel();
    this.#permit.alive();
    const now = this.#clock.now();
    this.#watch.answered(now);
    this.#resolve({ kind: 'answered', answer: { by: this.#provider.model.id, content: now } });
  }

  finished(): void {
    this.#upstream.inFlight--;
    this.#cancellation.remove(this);
    this.#permit.success();
    this.#upstream.succeeded();
  }

  failed(status: 429 | 500, retryAfterMs: number | null): void {
    this.#timer?.cancel();
    const kind = status === 429 ? 'rate_limited' : 'server_error';
    this.#fail({ kind, status, message: '', retryAfterMs, error: null });
  }

  cancelled(reason: CancelReason): void {
    this.#timer?.cancel();
    this.#call?.abort();
    this.#fail({ kind: reason, status: null, message: '', retryAfterMs: null, error: null });
  }

  #fail(failure: Failure): void {
    const { kind } = failure;
    this.#upstream.inFlight--;
    this.#cancellation.remove(this);
    const now = this.#clock.now();
    const counts = countsAgainst(kind, now - this.#startedAt, FIRST_TOKEN);
    if (counts) this.#permit.failure();
    else this.#permit.release();
    if (kind !== 'superseded') this.#upstream.failed(failure, this.#startedAt);
    this.#watch.failed(failure, counts, now);
    this.#resolve({ kind: 'failed', failure });
  }
}
