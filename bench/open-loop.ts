/**
 * Requests at a fixed rate, whether answers come or not: a slow answer delays no other request, so that waits are
 * seen as clients would see them. Each is timed from its sending; how late the sending was is reported apart.
 */
import { type Answer, type Asked, Connection, requestBytes } from './client.ts';
import { quantile } from './statistics.ts';

/** Beyond this many at once a request is not sent and counts as failed: the bench must end. */
const MAX_IN_FLIGHT = 2000;
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
  const latencies: number[] = [];
  const firstContent: number[] = [];
  const lateness: number[] = [];
  let sent = 0;
  let finished = 0;
  let failed = 0;

  function sendOne(): void {
    if (sent - finished >= MAX_IN_FLIGHT) {
      failed++;
      finished++;
      return;
    }
    const connection = idle.shift() ?? new Connection(port);
    all.add(connection);
    const timed = sent > untimed;
    const sentAt = performance.now();
    connection.ask(request, (answer: Answer) => {
      finished++;
      if (!answer.ok) failed++;
      else if (timed) {
        latencies.push(performance.now() - sentAt);
        if (answer.stampAge !== null) firstContent.push(answer.stampAge / 1e6);
      }
      if (connection.broken) all.delete(connection);
      else idle.push(connection);
    });
  }

  return new Promise((resolve) => {
    const start = performance.now();
    const giveUp = start + seconds * 1000 + PATIENCE_MS;
    const tick = () => {
      const now = performance.now();
      while (sent < total && start + (sent * 1000) / rate <= now) {
        if (sent >= untimed) lateness.push(now - start - (sent * 1000) / rate);
        sent++;
        sendOne();
      }
      if (sent < total || (finished < total && now < giveUp)) {
        setTimeout(tick, 1);
        return;
      }
      for (const connection of all) connection.close();
      failed += total - finished;
      resolve({ latencies, firstContent, failed, latenessP99: quantile(lateness, 0.99) });
    };
    tick();
  });
}
