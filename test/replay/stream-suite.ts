/** What holds of kept streams wherever they are kept, and wherever they are read. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { StreamLogs } from '../../src/replay/stream-log.ts';
import { until } from '../support/redis.ts';
import { event, events, open, openSoon, Writer } from './stream-kit.ts';

export interface Rig {
  /** Where streams are written. */
  here: StreamLogs;
  /** Where they are read: the same place, or another gateway. */
  there: StreamLogs;
}

/** Each of them has streams of its own name. */
export function describeStreams({ here, there }: Rig): void {
  it('are read from the beginning, or from after any event, and end where they ended', async () => {
    new Writer(here, { wanted: 'whole' }).begin().write(3).write(1).write(4).end();
    for (let after = 0; after <= 8; after++) {
      const reader = await openSoon(there, 'whole', after);
      assert.equal(await reader.ended(), 'over');
      assert.equal(reader.text, events(after + 1, 8), `after ${after}`);
      assert.equal(reader.reading.dialect, 'chat');
    }
  });

  it('are followed while they come, by several who began at different times', async () => {
    const writer = new Writer(here, { wanted: 'followed' }).begin().write(2);
    const first = await openSoon(there, 'followed');
    await until(() => first.last === 2, 'what was there');
    writer.write(1);
    await until(() => first.last === 3, 'what came');
    const second = await openSoon(there, 'followed', 2);
    writer.write(5).write(1);
    writer.end();
    assert.deepEqual([await first.ended(), await second.ended()], ['over', 'over']);
    assert.equal(first.text, events(1, 9));
    assert.equal(second.text, events(3, 9));
  });

  it('wait for an event that is still to come, and end empty where it never comes', async () => {
    const writer = new Writer(here, { wanted: 'ahead' }).begin().write(1);
    const [within, beyond] = [await openSoon(there, 'ahead', 3), await openSoon(there, 'ahead', 100)];
    writer.write(1).write(4).end();
    assert.deepEqual([await within.ended(), await beyond.ended()], ['over', 'over']);
    assert.equal(within.text, events(4, 6));
    assert.equal(beyond.text, '');
    const late = await openSoon(there, 'ahead', 999_999_999_999_999);
    assert.equal(await late.ended(), 'over');
    assert.equal(late.text, '');
  });

  it('wait for a reader who is slow, and for nobody else', async () => {
    const writer = new Writer(here, { wanted: 'slow' }).begin().write(1);
    const slow = await openSoon(there, 'slow', 0, 1);
    const quick = await openSoon(there, 'slow');
    await until(() => slow.last === 1 && quick.last === 1, 'the first');
    for (let i = 0; i < 2000; i++) writer.write(1);
    writer.end();
    assert.equal(await quick.ended(), 'over');
    assert.equal(quick.text, events(1, 2001));
    assert.equal(slow.last, 1);
    while (slow.how === null) {
      const before = slow.text.length;
      slow.take();
      await until(() => slow.how !== null || slow.text.length > before, 'one more write');
    }
    assert.equal(slow.text, events(1, 2001));
    assert.deepEqual([slow.ends, quick.ends], [1, 1]);
  });

  it('go on when a reader leaves, who hears no more', async () => {
    const writer = new Writer(here, { wanted: 'left' }).begin().write(1);
    const [leaves, stays] = [await openSoon(there, 'left'), await openSoon(there, 'left')];
    await until(() => leaves.last === 1, 'the first');
    leaves.reading.close();
    writer.write(3).end();
    assert.equal(await stays.ended(), 'over');
    assert.equal(leaves.text, event(1));
    assert.equal(leaves.how, null);
    assert.equal(writer.wasRemoved, 0);
  });

  it('are those of one tenant', async () => {
    const writer = new Writer(here, { wanted: 'own' }).begin().write(1).end();
    await openSoon(there, 'own');
    assert.equal(writer.id, 'own');
    assert.equal(await there.read('globex', 'own', 0), 'unknown');
    assert.equal(await there.remove('globex', 'own'), false);
    const other = new Writer(here, { wanted: 'own', tenant: 'globex' });
    assert.equal(other.begin().id, 'own');
    other.writeText('data: theirs\n\n').end();
    const theirs = await until(async () => {
      const found = await open(there, 'own', 0, { tenant: 'globex' }).catch(() => null);
      return found;
    }, 'the other one');
    await theirs.ended();
    assert.equal(theirs.text, 'id: 1\ndata: theirs\n\n');
  });

  it('are unknown under a name that nothing was called, and where nothing came of them', async () => {
    for (const id of ['nothing', '__proto__', 'constructor']) {
      assert.equal(await there.read('acme', id, 0), 'unknown');
      assert.equal(await there.remove('acme', id), false);
    }
    const writer = new Writer(here, { wanted: 'abandoned' }).begin().write(1);
    const reader = await openSoon(there, 'abandoned');
    writer.log.abandon();
    await until(async () => (await there.read('acme', 'abandoned', 0)) === 'unknown', 'it to be gone');
    assert.equal(writer.wasRemoved, 0);
    writer.write(1).end();
    assert.equal(await there.read('acme', 'abandoned', 0), 'unknown');
    reader.reading.close();
  });

  it('end for all when they are removed, and are unknown from then on', async () => {
    const writer = new Writer(here, { wanted: 'removed' }).begin().write(2);
    const reader = await openSoon(there, writer.id);
    await until(() => reader.last === 2, 'the first');
    assert.equal(await there.remove('acme', writer.id), true);
    assert.equal(await there.read('acme', writer.id, 0), 'unknown');
    // The writer hears of it with its next batch at the latest.
    writer.write(1);
    await until(() => writer.wasRemoved === 1, 'the writer');
    assert.equal(await reader.ended(), 'removed');
    writer.write(1).end();
    assert.equal(await here.read('acme', writer.id, 0), 'unknown');
    assert.equal(await there.remove('acme', writer.id), false);
    assert.equal(writer.wasRemoved, 1);
  });

  it('can be removed when they are over, which nobody is told', async () => {
    const writer = new Writer(here, { wanted: 'over' }).begin().write(2).end();
    await (await openSoon(there, writer.id)).ended();
    assert.equal(await there.remove('acme', writer.id), true);
    assert.equal(await there.read('acme', writer.id, 0), 'unknown');
    assert.equal(await here.read('acme', writer.id, 0), 'unknown');
    assert.equal(writer.wasRemoved, 0);
  });

  it('can hold any text, in events of any size', async () => {
    const texts = ['ä🙂"\\', 'x'.repeat(20_000), 'y'.repeat(3_000_000), '', '\u0000', 'id: 7', '{tag}'];
    const writer = new Writer(here, { wanted: 'sizes' }).begin();
    for (const text of texts) writer.writeText(`data: ${text}\n\n`);
    writer.end();
    const expected = texts.map((text, i) => `id: ${i + 1}\ndata: ${text}\n\n`);
    for (const after of [0, 1, 2, 3, 6]) {
      const reader = await openSoon(there, 'sizes', after);
      assert.equal(await reader.ended(), 'over');
      assert.equal(reader.text, expected.slice(after).join(''));
    }
  });

  it('lose their beginning where they are long, and say so', async () => {
    const writer = new Writer(here, { wanted: 'long' }).begin();
    const text = 'z'.repeat(1_000_000);
    for (let i = 0; i < 20; i++) writer.writeText(`data: ${text}\n\n`);
    const following = await openSoon(there, 'long', 19);
    writer.write(1).end();
    assert.equal(await following.ended(), 'over');
    assert.match(following.text, /^id: 20\ndata: z+\n\nid: 21\n/);
    const found = await until(async () => {
      const one = await there.read('acme', 'long', 0);
      return one !== 'unknown' && 'kind' in one ? one : null;
    }, 'the beginning to be gone');
    assert.ok(found.first > 1 && found.first <= 20 - 6, `${found.first}`);
    const rest = await openSoon(there, 'long', found.first - 1);
    assert.equal(await rest.ended(), 'over');
    assert.ok(rest.text.startsWith(`id: ${found.first}\n`));
  });

  it('have a name of their own where theirs is taken', async () => {
    const first = new Writer(here, { wanted: 'taken' }).begin().write(1).end();
    await openSoon(there, 'taken');
    const second = new Writer(there, { wanted: 'taken', unused: false }).begin().write(2).end();
    assert.equal(first.id, 'taken');
    assert.match(second.id, /^fresh-/);
    for (const streams of [here, there]) {
      const [a, b] = [await openSoon(streams, 'taken'), await openSoon(streams, second.id)];
      await Promise.all([a.ended(), b.ended()]);
      assert.deepEqual([a.last, b.last], [1, 2]);
    }
  });
}
