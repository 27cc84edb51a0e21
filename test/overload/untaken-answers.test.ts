import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BodyRoom } from '../../src/overload/body-room.ts';
import { UntakenAnswers } from '../../src/overload/untaken-answers.ts';

const KB = 1024;
const MB = 1024 * KB;

/** `every`: milliseconds from one answer to the next. */
function open(bytes: number, every = 5_000) {
  const room = new BodyRoom(bytes);
  const cut: string[] = [];
  let time = 0;
  const now = () => {
    time += every;
    return time;
  };
  const answers = new UntakenAnswers<string>(room, now, (answer) => void cut.push(answer));
  return { room, cut, answers };
}

describe('answers that wait for their clients', () => {
  it('of one tenant take half of the room, then those that wait for longest are cut off', () => {
    const { room, cut, answers } = open(10 * MB);
    for (let n = 0; n < 5; n++) answers.add('a', `a${n}`, MB);
    assert.deepEqual(cut, []);
    assert.equal(answers.bytes, 5 * MB);
    answers.add('a', 'a5', MB);
    answers.add('a', 'a6', 2 * MB);
    assert.deepEqual(cut, ['a0', 'a1', 'a2']);
    assert.equal(answers.bytes, 5 * MB);
    assert.equal(room.free, 5 * MB);
  });

  it('may be on their way, and are let be for some seconds while there is room at all', () => {
    const { room, cut, answers } = open(10 * MB, 700);
    for (let n = 0; n < 10; n++) answers.add('a', `a${n}`, MB);
    assert.deepEqual(cut, ['a0', 'a1']);
    assert.equal(answers.bytes, 8 * MB);
    const quick = open(10 * MB, 1);
    for (let n = 0; n < 10; n++) quick.answers.add('a', `a${n}`, MB);
    assert.deepEqual([quick.cut, quick.room.free], [[], 0]);
    quick.answers.add('b', 'b0', MB);
    assert.deepEqual([quick.cut, quick.room.free], [['a0'], 0]);
    assert.equal(room.free, 2 * MB);
  });

  it('of one tenant cost no other tenant its own', () => {
    const { cut, answers } = open(10 * MB);
    for (let n = 0; n < 50; n++) answers.add('a', `a${n}`, MB);
    for (let n = 0; n < 2; n++) answers.add('b', `b${n}`, MB);
    for (let n = 50; n < 100; n++) answers.add('a', `a${n}`, MB);
    answers.add('c', 'c0', MB);
    assert.deepEqual([...new Set(cut.map((answer) => answer[0]))], ['a']);
    // Four are left to a, for there are others now.
    assert.deepEqual([cut.length, answers.bytes], [96, 7 * MB]);
  });

  it('by themselves always find room, however long they are', () => {
    const { room, cut, answers } = open(MB);
    answers.add('a', 'a0', 64 * MB);
    assert.deepEqual([cut, answers.bytes, room.free], [[], 64 * MB, -63 * MB]);
    answers.over('a0');
    assert.equal(room.free, MB);
    assert.equal(room.take('b', MB), true);
    answers.add('a', 'a1', MB);
    assert.deepEqual(cut, []);
  });

  it('where there is no room at all, take that of the tenant whose take most', () => {
    const { cut, answers } = open(10 * MB);
    answers.add('a', 'a0', 2 * MB);
    answers.add('b', 'b0', 2 * MB);
    answers.add('b', 'b1', 2 * MB);
    answers.add('c', 'c0', 5 * MB);
    assert.deepEqual(cut, ['b0']);
    answers.add('d', 'd0', 7 * MB);
    assert.deepEqual(cut, ['b0', 'c0', 'a0']);
    answers.add('e', 'e0', 10 * MB);
    assert.deepEqual(cut, ['b0', 'c0', 'a0', 'd0', 'b1']);
    assert.equal(answers.bytes, 10 * MB);
  });

  it('leave less for bodies, and are left less by them', () => {
    const { room, cut, answers } = open(10 * MB);
    answers.add('a', 'a0', 4 * MB);
    assert.equal(room.take('a', 2 * MB), false);
    assert.equal(room.take('b', 2 * MB), true);
    assert.equal(room.take('b', 2 * MB), false);
    answers.add('b', 'b0', 2 * MB);
    answers.add('b', 'b1', MB);
    assert.deepEqual(cut, ['b0']);
  });

  it('are not counted if they take no more than a stream may', () => {
    const { room, cut, answers } = open(100 * KB);
    for (let n = 0; n < 100; n++) answers.add('a', `a${n}`, 64 * KB);
    assert.deepEqual([cut, answers.bytes, room.held], [[], 0, 0]);
    answers.add('a', 'longer', 64 * KB + 1);
    assert.equal(room.held, 64 * KB + 1);
  });

  it('hold nothing any more once they are over, which may be said of any, and more than once', () => {
    const { room, answers, cut } = open(10 * MB);
    for (const answer of ['0', '1', '2']) answers.add('a', answer, 2 * MB);
    for (const answer of ['1', '1', '0', '2', 'nobody']) answers.over(answer);
    assert.deepEqual([cut, answers.bytes, room.held, room.tenants], [['0'], 0, 0, 0]);
    answers.add('a', '3', 5 * MB);
    assert.deepEqual(cut, ['0']);
  });

  it('are never more than the room beside bodies and one answer, whoever gives and takes', () => {
    let seed = 7;
    const below = (n: number) => {
      seed = (seed * 1103515245 + 12345) % 2 ** 31;
      return seed % n;
    };
    const { room, cut, answers } = open(20 * MB);
    const waiting = new Set<string>();
    let bodies = 0;
    for (let n = 0; n < 5000; n++) {
      const tenant = `t${below(6)}`;
      const bytes = 65 * KB + below(6 * MB);
      const before = cut.length;
      if (below(3) === 0 && room.take('body', bytes)) {
        bodies += bytes;
        if (below(2) === 0) {
          room.give('body', bodies);
          bodies = 0;
        }
      }
      answers.add(tenant, `${n}`, bytes);
      waiting.add(`${n}`);
      for (const answer of cut.slice(before)) {
        assert.ok(answer !== `${n}` && waiting.delete(answer), answer);
      }
      assert.ok(answers.bytes <= Math.max(bytes, 20 * MB - bodies), `${answers.bytes}`);
      assert.equal(room.held, bodies + answers.bytes);
      for (const answer of waiting) {
        if (below(20) > 0) continue;
        waiting.delete(answer);
        answers.over(answer);
      }
    }
    for (const answer of waiting) answers.over(answer);
    assert.equal(answers.bytes, 0);
  });
});
