/**
 * For how long a process answers nobody: short requests on a connection of their own, each a millisecond after the answer to the one before. The longest of them says it,
 * to a millisecond.
 */
import type { Answer, Connection } from './client.ts';

const EVERY_MS = 1;

export function answerTo(connection: Connection, request: Buffer): Promise<Answer> {
  if (connection.broken) return Promise.reject(new Error('a connection broke'));
  return new Promise((resolve) => connection.ask(request, resolve));
}

/** Milliseconds that each took until `work` was over; one that is under way then counts. Throws if one is not answered as it should be. */
export async function probesDuring(
  connection: Connection,
  probe: Buffer,
  work: () => Promise<void>,
): Promise<number[]> {
  const waits: number[] = [];
  let over = false;
  const probing = async () => {
    while (!over) {
      const at = performance.now();
      const { ok } = await answerTo(connection, probe);
      waits.push(performance.now() - at);
      if (!ok) throw new Error('a probe was not answered');
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    }
  };
  const working = async () => {
    try {
      await work();
    } finally {
      over = true;
    }
  };
  await Promise.all([probing(), working()]);
  return waits;
}
