import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { after, IdleClock } from '../faults/stage.ts';
import { openGateway, openUpstream, provider } from '../outcomes/helpers.ts';
import { bucket } from '../resilience/pacer-simulation.ts';
import { apiError, chatAnswer } from '../support/upstream.ts';

/** Turns of the event loop without a movement after which nothing but time can bring anything on. */
const STILL = 40;

interface Seen {
  status: number;
  /** Milliseconds from the request to its answer, on the clock. */
  took: number;
  endedAt: number;
  /** Seconds; null: nothing was said. */
  retryAfter: number | null;
  code: string | null;
}

/** A gateway with one target, which gives so many a second and refuses the others; it has been idle for a while. */
async function start(t: TestContext, perSecond: number, defaults = {}) {
  const clock = new IdleClock();
  const hasRoom = bucket(perSecond, perSecond)(clock);
  const upstream = await openUpstream(t, () => [after(clock, 100), hasRoom() ? chatAnswer() : apiError(429)]);
  const gateway = await openGateway(
    t,
    {
      providers: { a: { ...provider(upstream, 'key-a'), adaptive: true } },
      models: { m: { provider: 'a', model: 'm' } },
      defaults,
    },
    { clock, chance: () => 0.5 },
  );

  async function settle(): Promise<void> {
    let before = '';
    for (let still = 0; still < STILL; still++) {
      await new Promise(setImmediate);
      const now = [
        upstream.requests.length,
        upstream.inFlight,
        gateway.requests.length,
        clock.pending,
      ].join();
      if (now !== before) still = 0;
      before = now;
    }
  }

  /** So many requests a second for so long, evenly; until the last is answered. */
  async function ask(perSecond: number, seconds: number): Promise<Seen[]> {
    const asked: Promise<Seen>[] = [];
    let over = false;
    const one = async (): Promise<Seen> => {
      const from = clock.now();
      const answer = await gateway.chat();
      const body = JSON.parse(await answer.text());
      const retryAfter = answer.headers.get('retry-after');
      return {
        status: answer.status,
        took: clock.now() - from,
        endedAt: clock.now(),
        retryAfter: retryAfter === null ? null : Number(retryAfter),
        code: body.error?.code ?? null,
      };
    };
    for (let i = 0; i < perSecond * seconds; i++) {
      clock.schedule((i * 1000) / perSecond, () => {
        asked.push(one());
      });
    }
    const end = clock.now() + seconds * 1000;
    while (clock.now() < end) {
      await settle();
      if (!clock.skip(end)) clock.advance(end - clock.now());
    }
    const all = Promise.all(asked).finally(() => {
      over = true;
    });
    while (!over) {
      await settle();
      if (!over) clock.skip();
    }
    return all;
  }
  clock.advance(5000);
  return { ask, upstream };
}

describe('a single target that is asked for twice what it gives, after a quiet spell', () => {
  it('answers everyone when that is over after four seconds, and is refused little', async (t) => {
    const { ask, upstream } = await start(t, 10);
    const seen = await ask(20, 4);
    assert.equal(seen.filter(({ status }) => status === 200).length, 80);
    assert.ok(upstream.requests.length <= 88, `${upstream.requests.length} tries`);
    const slowest = Math.max(...seen.map(({ took }) => took));
    assert.ok(slowest < 8000, `one took ${slowest} ms`);
  });

  it('answers most after eight', async (t) => {
    const { ask, upstream } = await start(t, 10);
    const seen = await ask(20, 8);
    const answered = seen.filter(({ status }) => status === 200).length;
    assert.ok(answered >= 0.85 * seen.length, `${answered} of ${seen.length}`);
    assert.ok(upstream.requests.length <= answered * 1.1, `${upstream.requests.length} tries`);
    assertTold(seen);
  });

  it('answers what it can when that goes on, and tells the others within the time that may be waited for', async (t) => {
    const { ask } = await start(t, 10);
    const seen = await ask(20, 20);
    // Ten at the beginning, and what is given while requests come and for the ten seconds that are waited.
    const answered = seen.filter(({ status }) => status === 200).length;
    assert.ok(answered >= 0.75 * (10 + 10 * 30), `${answered} of ${seen.length}`);
    assertTold(seen);
  });

  it('tells within a second where nothing may be waited for, and gives most of what it has all the same', async (t) => {
    const { ask } = await start(t, 10, { retry: { max_retry_after: '0s' } });
    const seen = await ask(20, 20);
    const answered = seen.filter(({ status }) => status === 200).length;
    assert.ok(answered >= 0.75 * 10 * 20, `${answered} of ${seen.length}`);
    assertTold(seen, 1);
  });
});

/** Who was not answered knows why, and when to come again; not too late, and not all at the same time. */
function assertTold(seen: readonly Seen[], waitable = 10): void {
  const refused = seen.filter(({ status }) => status !== 200);
  const inSecond = new Map<number, number>();
  for (const { status, code, retryAfter, took, endedAt } of refused) {
    assert.ok(['503 no_healthy_upstream', '429 upstream_rate_limited'].includes(`${status} ${code}`));
    assert.ok(retryAfter !== null && retryAfter >= 1 && retryAfter <= 3, `retry after ${retryAfter} s`);
    // The last turn waited for, and a try.
    assert.ok(took <= waitable * 1000 + 1500, `${took} ms`);
    const second = Math.floor(endedAt / 1000);
    inSecond.set(second, (inSecond.get(second) ?? 0) + 1);
  }
  const most = Math.max(0, ...inSecond.values());
  // As many as come in two seconds: those who wait when a 429 comes, and those who come in the pause.
  assert.ok(most <= 40, `${most} were refused within a second`);
}
