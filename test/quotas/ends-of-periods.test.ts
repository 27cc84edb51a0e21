import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DAY, openScene, START } from './kit.ts';

const CALENDAR = [
  { limit: 5, of: 'requests', per: 'day' },
  { limit: 5, of: 'requests', per: 'month' },
];

describe('when all is back', () => {
  it("is the calendar's end of a day and a month of which nothing was taken, and stays so", async (t) => {
    const scene = await openScene(t, { quotas: CALENDAR });
    const ends = async () => (await scene.usage()).quotas.map(({ resets_at }) => resets_at);
    const expected = ['2026-11-23T00:00:00.000Z', '2026-12-01T00:00:00.000Z'];
    assert.deepEqual(await ends(), expected);
    await scene.ask();
    assert.deepEqual(await ends(), expected);
    scene.clock.advance(DAY - (START % DAY) - 1);
    assert.deepEqual(await ends(), expected);
    scene.clock.advance(1);
    assert.deepEqual(await ends(), ['2026-11-24T00:00:00.000Z', '2026-12-01T00:00:00.000Z']);
    scene.clock.advance(8 * DAY);
    assert.deepEqual(await ends(), ['2026-12-02T00:00:00.000Z', '2027-01-01T00:00:00.000Z']);
  });

  it('is now for what slides and was not taken of, and nothing for places', async (t) => {
    const scene = await openScene(t, {
      quotas: [
        { limit: 5, of: 'requests', per: 'hour' },
        { limit: 5, of: 'concurrent' },
      ],
    });
    assert.deepEqual(
      (await scene.usage()).quotas.map(({ resets_at }) => resets_at),
      [new Date(START).toISOString(), null],
    );
  });
});
