import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Json, JsonObject } from '../../src/core/json.ts';
import { type Changes, JsonBody } from '../../src/core/json-body.ts';

/** 0 up to 1, the same on every run. */
function seeded(start: number): () => number {
  let seed = start;
  return () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
}

const NAMES = ['model', 'messages', '7', 'a "b"', 'né', 'stop', '__proto__', 'n'];
const VALUES: readonly Json[] = [null, 1, 'text', ['a', { b: [] }], { c: null, d: 'é"' }, false];

type Pick = <T>(of: readonly T[]) => T;

function changesBy(random: () => number, pick: Pick): Changes {
  const changes = new Map<string, Json>();
  while (random() < 0.6) changes.set(pick(NAMES), pick(VALUES));
  return changes;
}

/** With members that stand twice, and white space between them. */
function bodyBy(random: () => number, pick: Pick): Buffer {
  const members: string[] = [];
  while (random() < 0.8) members.push(` ${JSON.stringify(pick(NAMES))} : ${JSON.stringify(pick(VALUES))} `);
  return Buffer.from(`{${members.join(',')}}`);
}

function printed(body: JsonBody, changes: Changes = new Map()): string {
  return Buffer.concat(body.with(changes)).toString();
}

function inSteps(body: JsonBody, changes: Changes): string {
  const steps = body.inSteps(changes);
  while (steps.step());
  return Buffer.concat(steps.parts).toString();
}

describe('a body that was changed', () => {
  it('is what its text would be read as, however often it is changed', () => {
    const random = seeded(19);
    const pick: Pick = (of) => of[Math.floor(random() * of.length)] as (typeof of)[number];
    for (let run = 0; run < 3000; run++) {
      let body = JsonBody.parse(bodyBy(random, pick));
      let again = body;
      for (let times = 0; times < 3; times++) {
        const changes = changesBy(random, pick);
        body = body.changed(changes);
        again = JsonBody.parse(Buffer.from(printed(again, changes)));
        assert.deepEqual(body.value, again.value);
        assert.deepEqual(JSON.parse(printed(body)), again.value);
        const last = changesBy(random, pick);
        assert.deepEqual(JSON.parse(printed(body, last)), JSON.parse(printed(again, last)));
        for (const name of NAMES) {
          const [one, other] = [body.textOf(name), again.textOf(name)];
          assert.deepEqual(one === null ? null : JSON.parse(one), other === null ? null : JSON.parse(other));
        }
      }
    }
  });

  it('leaves the one that it was made of as it is', () => {
    const body = JsonBody.parse(Buffer.from('{"a":1,"b":2}'));
    body.changed(
      new Map<string, Json>([
        ['a', null],
        ['c', 3],
      ]),
    );
    assert.equal(printed(body), '{"a":1,"b":2}');
    assert.deepEqual(body.value, { a: 1, b: 2 });
  });

  it('has all else byte for byte as it came', () => {
    const body = JsonBody.parse(Buffer.from('{"a": 1e400, "b":2 , "c":12345678901234567890}'));
    assert.equal(printed(body.changed(new Map([['b', null]]))), '{"a": 1e400,"c":12345678901234567890}');
  });
});

describe('a body that was made', () => {
  it('is printed with what is changed in it', () => {
    const value: JsonObject = { a: null, b: ['x'], c: 'y' };
    const body = JsonBody.of(value);
    assert.equal(printed(body), JSON.stringify(value));
    assert.equal(
      printed(
        body,
        new Map<string, Json>([
          ['b', null],
          ['d', 1],
        ]),
      ),
      '{"a":null,"c":"y","d":1}',
    );
    assert.equal(body.textOf('b'), '["x"]');
    assert.equal(body.textOf('d'), null);
  });

  it('is refused where it is nested deeper than one that came in may be', () => {
    const nested = (levels: number) =>
      JSON.parse(`${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`) as JsonObject;
    assert.ok(JsonBody.of(nested(512)));
    assert.throws(() => JsonBody.of(nested(513)), RangeError);
    assert.ok(JsonBody.parse(Buffer.from(JSON.stringify(nested(512)))));
    assert.throws(() => JsonBody.parse(Buffer.from(JSON.stringify(nested(513)))), RangeError);
  });

  it('has nothing in it any more once it was let go of', () => {
    const body = JsonBody.of({ a: 1 }).changed(new Map([['b', 2]]));
    body.letGo();
    assert.equal(printed(body, new Map([['c', 3]])), '{"c":3}');
  });
});

describe('a body that is printed in steps', () => {
  it('comes to the same as in one', () => {
    const random = seeded(7);
    const pick: Pick = (of) => of[Math.floor(random() * of.length)] as (typeof of)[number];
    for (let run = 0; run < 1000; run++) {
      const body = JsonBody.parse(bodyBy(random, pick)).changed(changesBy(random, pick));
      const changes = new Map([...changesBy(random, pick), ['one', 'more'] as const]);
      assert.equal(inSteps(body, changes), printed(body, changes));
    }
  });

  it('takes several for a long text', () => {
    const body = JsonBody.of({ messages: [{ content: 'word '.repeat(500_000) }], tools: [{ a: 1 }] }, true);
    const steps = body.inSteps(new Map());
    let count = 1;
    while (steps.step()) count++;
    assert.ok(count >= 5, `${count} steps`);
    assert.equal(Buffer.concat(steps.parts).toString(), JSON.stringify(body.value));
  });
});
