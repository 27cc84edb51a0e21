/** All that makes answers survive, at once, on two gateways, with everything going wrong: what clients have, and what is left afterwards. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { checkBooks, quiet } from './afterwards.ts';
import { checkKeys, checkLines, checkReplays, checkSeen, checkTenants, type Line } from './checks.ts';
import { runClients } from './clients.ts';
import { plans } from './plans.ts';
import { MODELS, startWorld } from './world.ts';

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 14);
const SEED = Number(process.env['FUZZ_SEED'] ?? 5);
/** Of which there are many in what is told of a failure. */
const PINGS = /(?:: ping|event: ping(?:\n|\\n)data: \{\\?"type\\?":\\?"ping\\?"\})(?:\n\n|\\n\\n)/g;
/** Requests of one run. */
const MOST = 24;

it('whatever goes wrong, each client has one answer or the truth, and nothing is left of it', async (t) => {
  const world = await startWorld(t);
  const { gateways, speaker } = world;
  const lines = () => gateways.flatMap(({ requests }) => requests as Line[]);
  const ends: Record<string, number> = {};
  let run = 0;
  let marks = 0;
  await fc.assert(
    fc.asyncProperty(plans(MODELS.length, MOST), async (plan) => {
      run++;
      speaker.behaviours = plan.behaviours;
      speaker.given = [];
      const from = lines().length;
      const all = await runClients(world, plan, run);
      await quiet(world);
      for (const seen of all) {
        try {
          checkSeen(seen);
        } catch (error) {
          const line = lines().find(({ id }) => id === seen.id);
          const told = `${(error as Error).stack}\n${JSON.stringify(seen)}\n${JSON.stringify(line)}`;
          throw new Error(told.replaceAll(PINGS, ''));
        }
      }
      const own = lines().filter(({ id }) => id.startsWith(`r${run}-`));
      assert.equal(lines().length, from + own.length);
      const byId = checkLines(all, own);
      checkKeys(all, byId, speaker.given);
      const asked = speaker.asked;
      await checkReplays(all, byId);
      assert.equal(speaker.asked, asked);
      await quiet(world);
      marks += checkTenants(all);
      await checkBooks(world, lines());
      assert.deepEqual(speaker.wrong, []);
      for (const line of own) {
        const word = `${line.status} ${line.replayed ? 'replayed' : (line.cache ?? '')} ${line.outcome}`;
        ends[word] = (ends[word] ?? 0) + 1;
      }
    }),
    { numRuns: RUNS, seed: SEED, endOnFailure: true },
  );
  const mistakes = gateways.flatMap(({ logs }) =>
    logs.filter(({ level }) => level === 'error' || level === 'fatal'),
  );
  assert.deepEqual(mistakes, []);
  t.diagnostic(JSON.stringify({ requests: lines().length, upstreams: speaker.asked, marks, ends }));
});
