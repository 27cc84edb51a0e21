/**
 * Requests at a fixed rate, whether answers come or not: a slow answer delays no other request, so that waits are
 * seen as clients would see them. Each is timed from its sending; how late the sending was is reported apart.
 */
import { type Answer, type Asked, Connection, requestBytes } from './client.ts';
import { quantile } from './statistics.ts';

/**
 * Beyond these a request waits until one is free, and is timed all the same: so a gateway, or a machine, that stood still works off what came
 * meanwhile. A listener of Node's keeps 511 that it has yet to accept: of more at once, some would be tried again a second later.
 */
const MAX_CONNECTIONS = 500;
/** After the last request. What has no answer then has failed: the bench must end. */
const PATIENCE_MS = 3000;
/** The first requests open the connections: they are sent, and not timed. */
const WARM_UP_MS = 300;

export interface OpenLoopResult {
  /** Milliseconds from sending to the last byte, of the answers that were whole. */
  latencies: number[];
  /** Milliseconds from the upstream writing a stream's first content to its arrival here. */
  firstContent: number[];
  failed: number;
  /** How late the loader itself was, milliseconds: the 99th percentile. Over 2 or so, believe nothing. */
  latenessP99: number;
}

interface Due {
  /** When it was sent, or would have been if there had been a connection. */
  at: number;
  timed: boolean;
}

/** `connections`: so many at least, used in turn, so that processes that share them out have equal parts. */
export function openLoop(
  asked: Asked,
  rate: number,
  seconds: number,
  connections = 0,
): Promise<OpenLoopResult> {
  const request = requestBytes(asked);
  const port = Number(new URL(asked.url).port);
  const total = Math.floor(rate * seconds);
  const untimed = Math.floor((rate * WARM_UP_MS) / 1000);
  const idle = Array.from({ length: connections }, () => new Connection(port));
  const all = new Set<Connection>(idle);
  /** Those that are due and have no connection. */
  let waiting: Due[] = [];
  const latencies: number[] = [];
  const firstContent: number[] = [];
  const lateness: number[] = [];
  let sent = 0;
  let finished = 0;
  let failed = 0;

  function send(due: Due): void {
    const connection = free();
    if (connection === null) {
      waiting.push(due);
      return;
    }
    connection.ask(request, (answer: Answer) => {
      finished++;
      if (!answer.ok) failed++;
      else if (due.timed) {
        latencies.push(performance.now() - due.at);
        if (answer.stampAge !== null) firstContent.push(answer.stampAge / 1e6);
      }
      idle.push(connection);
      const next = waiting.shift();
      if (next !== undefined) send(next);
    });
  }

  function free(): Connection | null {
    for (let first = idle.shift(); first !== undefined; first = idle.shift()) {
      if (!first.broken) return first;
      all.delete(first);
    }
    if (all.size >= MAX_CONNECTIONS) return null;
    const connection = new Connection(port);
    all.add(connection);
    return connection;
  }

  return new Promise((resolve) => {
    const start = performance.now();
    let sentAt = start;
    const tick = () => {
      const now = performance.now();
      while (sent < total && start + (sent * 1000) / rate <= now) {
        if (sent >= untimed) lateness.push(now - start - (sent * 1000) / rate);
        sent++;
        sentAt = performance.now();
        send({ at: sentAt, timed: sent > untimed });
      }
      if (sent < total || (finished < total && now < sentAt + PATIENCE_MS)) {
        setTimeout(tick, 1);
        return;
      }
      waiting = [];
      for (const connection of all) connection.close();
      failed += total - finished;
      resolve({ latencies, firstContent, failed, latenessP99: quantile(lateness, 0.99) });
    };
    tick();
  });
}
