import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EventNumbers, eventsAfter, firstNumber } from '../../src/replay/number-events.ts';
import { event, events } from './stream-kit.ts';

/** What is told and what is kept of a stream that comes in these pieces. */
function numbered(...pieces: string[]) {
  const numbers = new EventNumbers();
  let told = '';
  let kept = '';
  let count = 0;
  for (const piece of pieces) {
    const one = numbers.add(Buffer.from(piece));
    told += one.told.toString();
    kept += one.kept?.toString() ?? '';
    count += one.count;
  }
  return { told, kept, count, last: numbers.last, rest: numbers.end().toString() };
}

describe('numbers of events', () => {
  it('count up from 1, and stand before what they belong to', () => {
    const text = 'data: {"a":1}\n\nevent: done\ndata: {"b":"ä🙂"}\n\ndata: [DONE]\n\n';
    const expected =
      'id: 1\ndata: {"a":1}\n\nid: 2\nevent: done\ndata: {"b":"ä🙂"}\n\nid: 3\ndata: [DONE]\n\n';
    assert.deepEqual(numbered(text), { told: expected, kept: expected, count: 3, last: 3, rest: '' });
  });

  it('are the same wherever the stream is cut', () => {
    const bytes = Buffer.from(
      ': ping\n\ndata: {"a":"ö"}\n\nevent: ping\ndata: {"type":"ping"}\n\nevent: x\ndata: 🙂\n\n: b\n\n',
    );
    const whole = numbered(bytes.toString());
    assert.equal(whole.count, 2);
    for (let first = 0; first <= bytes.length; first++) {
      for (let second = first; second <= bytes.length; second++) {
        const numbers = new EventNumbers();
        const told: Buffer[] = [];
        const kept: Buffer[] = [];
        for (const piece of [
          bytes.subarray(0, first),
          bytes.subarray(first, second),
          bytes.subarray(second),
        ]) {
          const one = numbers.add(piece);
          assert.equal(one.kept === null, one.count === 0);
          told.push(one.told);
          kept.push(one.kept ?? Buffer.alloc(0));
        }
        assert.equal(Buffer.concat(told).toString(), whole.told, `${first} ${second}`);
        assert.equal(Buffer.concat(kept).toString(), whole.kept, `${first} ${second}`);
      }
    }
  });

  it('are not given to what only keeps a connection open, and that is not kept', () => {
    const ping = 'event: ping\ndata: {"type":"ping"}\n\n';
    const { told, kept } = numbered(`: ping\n\ndata: 1\n\n${ping}data: 2\n\n: bye\n\n`);
    assert.equal(told, `: ping\n\nid: 1\ndata: 1\n\n${ping}id: 2\ndata: 2\n\n: bye\n\n`);
    assert.equal(kept, 'id: 1\ndata: 1\n\nid: 2\ndata: 2\n\n');
    assert.deepEqual(numbered(': ping\n\n'), {
      told: ': ping\n\n',
      kept: '',
      count: 0,
      last: 0,
      rest: '',
    });
  });

  it('are given to an event that begins with a comment, or has a type that begins like a ping', () => {
    assert.equal(numbered(': hi\ndata: 1\n\n').kept, 'id: 1\n: hi\ndata: 1\n\n');
    assert.equal(numbered('event: pings\ndata: 1\n\n').count, 1);
  });

  it('leave what never became an event for the end', () => {
    assert.deepEqual(numbered('data: 1\n\ndata: 2\n'), {
      told: 'id: 1\ndata: 1\n\n',
      kept: 'id: 1\ndata: 1\n\n',
      count: 1,
      last: 1,
      rest: 'data: 2\n',
    });
  });
});

describe('events after one', () => {
  it('are those with higher numbers', () => {
    const some = Buffer.from(events(8, 12));
    assert.equal(firstNumber(some), 8);
    for (let after = 0; after <= 14; after++) {
      assert.equal(eventsAfter(some, after).toString(), events(Math.max(8, after + 1), 12), `${after}`);
    }
  });

  it('are found in text that is no event, too: none', () => {
    assert.ok(Number.isNaN(firstNumber(Buffer.from('anything\n'))));
    assert.ok(Number.isNaN(firstNumber(Buffer.from(''))));
    assert.equal(eventsAfter(Buffer.from(event(1).slice(0, -1)), 1).length, 0);
  });
});
