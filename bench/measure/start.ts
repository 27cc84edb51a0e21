/** From the start of a process until it says that it listens, without and with what Node compiled at the start before. */
import { join } from 'node:path';
import { type Row, rowOf } from '../rows.ts';
import type { Entrant, Plan } from './plan.ts';

export function startEntrants(plan: Plan, rows: readonly string[]): Entrant[] {
  return rows.map((name) => {
    const row = rowOf(name) as Row;
    const kept = { NODE_COMPILE_CACHE: join(plan.scratch, `${name}-compiled`) };
    return {
      row: name,
      // Reads from the disk what later starts have in memory, and compiles what they find.
      warmUp: async () => void (await once(plan, row, kept)),
      async measure() {
        const fresh = await once(plan, row, { NODE_DISABLE_COMPILE_CACHE: '1' });
        const again = await once(plan, row, kept);
        return {
          figures: {
            ready: fresh.ms,
            readyCpu: fresh.cpuMs,
            readyKept: again.ms,
            readyCpuKept: again.cpuMs,
          },
          failed: 0,
          note: `${fresh.ms.toFixed(0)} ms, ${again.ms.toFixed(0)} with code kept`,
        };
      },
    };
  });
}

/** Milliseconds, and those of CPU. */
async function once(
  plan: Plan,
  row: Row,
  env: Record<string, string>,
): Promise<{ ms: number; cpuMs: number }> {
  const { direct: upstream, scratch } = plan;
  const started = await row.start({ upstream, scratch, label: `${row.name}-start`, node: [], env });
  const cpuMs = started.running.usage().cpuSeconds * 1000;
  const ms = started.running.readyAfterMs;
  started.running.emptyLog();
  // Node writes what it compiled when the process ends.
  await started.stop();
  return { ms, cpuMs };
}
