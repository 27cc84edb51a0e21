import { availableParallelism, totalmem } from 'node:os';
import { getHeapStatistics } from 'node:v8';
import type { AnswerCut } from '../accounting/book.ts';
import type { Log } from '../accounting/log.ts';
import type { Metrics } from '../accounting/metrics.ts';
import { RefusalLines } from '../accounting/refusal-lines.ts';
import type { Chance, Clock } from '../core/clock.ts';
import type { ApiError } from '../core/errors.ts';
import { BodyRoom } from '../overload/body-room.ts';
import type { EventLoop } from '../overload/event-loop.ts';
import { Gate } from '../overload/gate.ts';
import { InFlightShares, placesWithReserve } from '../overload/in-flight-shares.ts';
import { LoopDelay } from '../overload/loop-delay.ts';
import { Overloaded, type OverloadReason, Refusals } from '../overload/overloaded.ts';
import { requestWeight } from '../overload/request-weight.ts';
import { RestingConnections } from '../overload/resting-connections.ts';
import { UntakenAnswers } from '../overload/untaken-answers.ts';
import type { Exchange } from '../pipeline/exchange.ts';
import { RESUME_HEADER } from '../pipeline/resumable.ts';
import { HELD_AT_FIRST } from '../server/body-reader.ts';
import type { AdmittedExchange, ClientAdmission } from '../server/client-handlers.ts';
import { READ_OVER } from '../server/http-exchange.ts';
import type { ServerSettings } from '../server/settings.ts';

/** What bodies may take of the memory: parsed, and made into what is sent on, those of requests are there two or three times more. */
const SHARE_OF_MEMORY = 1 / 4;

const EMPTY = Buffer.alloc(0);

export interface AdmissionOptions {
  loop: EventLoop;
  clock: Clock;
  chance: Chance;
  log: Log;
  metrics: Metrics;
  settings(): ServerSettings;
  /** Bytes of bodies that are held at once at most, of requests and of answers that wait for their clients. */
  bodyBytes: number;
  /** Must not throw. */
  begin(exchange: Exchange): void;
  /** Its client left before it was begun: closes the book. Must not throw. */
  gone(exchange: Exchange): void;
  /** Answers with the refusal, and closes the book. `isAddedUp`: its line in the log is one for many. Must not throw. */
  refuse(exchange: Exchange, error: ApiError, isAddedUp: boolean): void;
  /** Counts it. */
  answerCut(tenant: string, reason: AnswerCut): void;
  inFlight(): number;
  /** How many of them each tenant has. */
  inFlightByTenant(): Map<string, number>;
}

/** Which requests are taken on and when they are begun, where there is not room and time for all. */
export class Admission implements ClientAdmission {
  readonly #options: AdmissionOptions;
  readonly #gate: Gate<AdmittedExchange>;
  readonly #bodies: BodyRoom;
  readonly #untaken: UntakenAnswers<AdmittedExchange>;
  readonly #shares: InFlightShares;
  readonly #delay: LoopDelay;
  readonly #refusals: Refusals;
  readonly #connections: RestingConnections;
  readonly #lines: RefusalLines;

  constructor(options: AdmissionOptions) {
    const { loop, metrics } = options;
    this.#options = options;
    this.#bodies = new BodyRoom(options.bodyBytes);
    this.#untaken = new UntakenAnswers(
      this.#bodies,
      () => options.clock.now(),
      (exchange) => this.#cut(exchange, 'memory'),
    );
    this.#shares = new InFlightShares(options.inFlightByTenant);
    const begin = (exchange: AdmittedExchange) => {
      exchange.inLine = false;
      options.begin(exchange);
    };
    const hasLittle = (tenant: string) => this.#shares.hasLittle(tenant, options.inFlight());
    this.#gate = new Gate<AdmittedExchange>(loop, begin, hasLittle);
    this.#connections = new RestingConnections(loop);
    this.#delay = new LoopDelay(loop.clock, (lateMs) => {
      metrics.loopDelay.observe(lateMs / 1000);
      this.#gate.measured(lateMs);
      this.#connections.move();
    });
    this.#refusals = new Refusals(options.chance, () => this.#connections.unread);
    this.#lines = new RefusalLines(options.clock, options.log);
  }

  get waiting(): number {
    return this.#gate.waiting;
  }

  /** Of requests. */
  get bodyBytes(): number {
    return this.#bodies.held - this.#untaken.bytes;
  }

  /** Of answers that wait for their clients. */
  get answerBytes(): number {
    return this.#untaken.bytes;
  }

  start(): void {
    this.#delay.start();
  }

  stop(): void {
    this.#delay.stop();
    this.wake();
    this.#lines.flush();
  }

  /** Connections that are not read because of refusals are read again. Were there any? */
  wake(): boolean {
    return this.#connections.wake();
  }

  /** Are there so many under way that it does not matter who asks? Null: no. */
  full(): ApiError | null {
    const { inFlight, settings } = this.#options;
    return inFlight() > placesWithReserve(settings().maxInFlight) ? this.#refusals.of('in_flight') : null;
  }

  /** May it be among the requests under way? Null: yes. */
  place(exchange: Exchange): ApiError | null {
    const { inFlight, settings } = this.#options;
    const hasPlace = this.#shares.hasPlace(tenantOf(exchange), inFlight(), settings().maxInFlight);
    return hasPlace ? null : this.#refusals.of('in_flight');
  }

  /** May it be taken on? Before its body is read; `announced`: the bytes that this is said to have. Null: yes. */
  admit(exchange: AdmittedExchange, announced: number): ApiError | null {
    const tenant = tenantOf(exchange);
    this.#connections.asked(exchange.connection, tenant);
    if (!this.#gate.hasRoom(tenant)) return this.#refusals.of('delay');
    return this.place(exchange) ?? this.#hold(exchange, Math.min(announced, HELD_AT_FIRST), announced);
  }

  /** Finds room for the body of an exchange, of which there is so much, or soon will be. Null: there was room. */
  hold(exchange: AdmittedExchange, bytes: number): ApiError | null {
    this.#free(exchange);
    return this.#hold(exchange, bytes, bytes);
  }

  #hold(exchange: AdmittedExchange, bytes: number, expected: number): ApiError | null {
    const tenant = tenantOf(exchange);
    if (!this.#bodies.take(tenant, bytes, expected)) return this.#refusals.of('bodies');
    exchange.heldBy = tenant;
    exchange.heldBytes = bytes;
    return null;
  }

  /** Its body has come: it is begun now, or as soon as there is time. Null unless there will be none. */
  enter(exchange: AdmittedExchange): ApiError | null {
    const weight = requestWeight(exchange.body.length);
    exchange.inLine = true;
    if (this.#gate.enter(tenantOf(exchange), exchange, weight)) return null;
    exchange.inLine = false;
    return this.#refusals.of('delay');
  }

  /** An answer of so many bytes waits for its client. */
  waits(exchange: AdmittedExchange, bytes: number): void {
    this.#free(exchange);
    this.#untaken.add(tenantOf(exchange), exchange, bytes);
  }

  /** A client takes its answer too slowly, or not at all. */
  tooSlow(exchange: AdmittedExchange): void {
    // It was cut off in this very turn.
    if (exchange.connection.destroyed) return;
    this.#untaken.over(exchange);
    this.#cut(exchange, 'slow');
  }

  /** The book on it is closed already: it was answered. */
  #cut(exchange: AdmittedExchange, reason: AnswerCut): void {
    const { log, answerCut } = this.#options;
    const tenant = tenantOf(exchange);
    answerCut(tenant, reason);
    log.warn(
      { id: exchange.requestId, tenant, reason },
      'an answer that its client did not take was cut off',
    );
    exchange.cut();
  }

  /** What it held is free again, its place in line too, and its connection rests if it is to. */
  over(exchange: AdmittedExchange): void {
    this.#free(exchange);
    // Who may come back for a stream is served without its client.
    if (exchange.inLine && exchange.header(RESUME_HEADER) === undefined) this.#left(exchange);
    if (this.#untaken.bytes > 0) this.#untaken.over(exchange);
    if (exchange.tires)
      exchange.whenRead(() => this.#connections.rest(exchange.connection, costOf(exchange)));
  }

  /** Nobody is there to be answered. What it sent is not to be kept until its turn would have come. */
  #left(exchange: AdmittedExchange): void {
    exchange.inLine = false;
    this.#gate.leave(tenantOf(exchange), exchange, requestWeight(exchange.body.length));
    exchange.body = EMPTY;
    this.#options.gone(exchange);
  }

  #free(exchange: AdmittedExchange): void {
    if (exchange.heldBytes === 0) return;
    this.#bodies.give(exchange.heldBy, exchange.heldBytes);
    exchange.heldBytes = 0;
  }

  /** A client has connected. */
  connected(): void {
    this.#gate.connected();
  }

  /** Refuses a request, for whatever reason. */
  refuse(exchange: AdmittedExchange, error: ApiError): void {
    const isOverload = error.code === 'server_is_overloaded';
    const cost = costOf(exchange);
    if (isOverload) {
      const tenant = exchange.principal?.tenant.id ?? null;
      exchange.tires = this.#connections.needsRest(exchange.connection, tenant, cost);
    }
    this.#gate.refused(cost);
    this.#options.refuse(exchange, error, isOverload && !this.#hasItsLine(exchange, error));
  }

  /** Counts a refusal that the load is the reason for. Does it have a line of its own in the log? */
  #hasItsLine(exchange: Exchange, error: ApiError): boolean {
    const tenant = tenantOf(exchange);
    const reason: OverloadReason = error instanceof Overloaded ? error.reason : 'in_flight';
    this.#options.metrics.overloadRefusals.with({ tenant, reason }).value++;
    return this.#lines.refused(tenant);
  }
}

/** Of refusing it. */
function costOf(exchange: Exchange): number {
  return requestWeight(Math.min(READ_OVER, Number(exchange.header('content-length')) || 0));
}

function tenantOf({ principal }: Exchange): string {
  return principal?.tenant.id ?? 'unknown';
}

/** As much as bodies may take in one of so many processes, by what the heap may grow to and the memory that there is. Bytes. */
export function roomForBodies(workers: number | 'auto'): number {
  const processes = workers === 'auto' ? availableParallelism() : workers;
  // Without a limit Node reports one that no machine has.
  const memory = Math.min(process.constrainedMemory() || Number.POSITIVE_INFINITY, totalmem());
  return SHARE_OF_MEMORY * Math.min(getHeapStatistics().heap_size_limit, memory / processes);
}
