import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Dispatcher } from 'undici';
import { Cancellation } from '../../src/core/cancellation.ts';
import type { Timer } from '../../src/core/clock.ts';
import { chatAnswer } from '../../src/providers/openai/chat-answer.ts';
import { attempt } from '../../src/upstream/attempt.ts';
import type { AttemptEnd, AttemptRequest } from '../../src/upstream/attempt-request.ts';
import { BoundsTimer } from '../../src/upstream/bounds-timer.ts';
import { ManualClock } from '../support/manual-clock.ts';

/** Counts the timers that were ever set. */
class CountingClock extends ManualClock {
  timers = 0;

  override schedule(ms: number, fn: () => void): Timer {
    this.timers++;
    return super.schedule(ms, fn);
  }
}

const ANSWER = {
  choices: [{ index: 0, message: { role: 'assistant', content: 'Hi' }, finish_reason: 'stop' }],
};
const IDLE = 10_000;
const ATTEMPT = 60_000;

/** A try for a whole answer, whose bytes come from the test. */
class PlainTry {
  readonly clock = new CountingClock(1000);
  readonly aborts: number[] = [];
  readonly end: Promise<AttemptEnd>;
  #handler: Dispatcher.DispatchHandler | null = null;
  readonly #controller = {
    abort: () => void this.aborts.push(this.clock.now()),
  } as unknown as Dispatcher.DispatchController;

  constructor() {
    const dispatcher = {
      dispatch: (_: unknown, handler: Dispatcher.DispatchHandler) => {
        this.#handler = handler;
        handler.onRequestStart?.(this.#controller, null);
        return true;
      },
    };
    const request: AttemptRequest = {
      dispatcher: dispatcher as unknown as Dispatcher,
      origin: 'http://upstream',
      path: '/',
      headers: [],
      body: [Buffer.from('{}')],
      reader: chatAnswer(1),
      streaming: null,
      timeouts: { connect: 5000, firstToken: 5000, idle: IDLE, attempt: ATTEMPT, total: 600_000 },
      deadline: this.clock.now() + 600_000,
      clock: this.clock,
      cancellation: new Cancellation(),
      redact: (words) => words,
      dropped: () => assert.fail('nothing is streamed'),
      streamOver: () => assert.fail('nothing is streamed'),
    };
    this.end = attempt(request, request, this.clock.now());
  }

  headers(): void {
    this.#handler?.onResponseStart?.(this.#controller, 200, { 'content-type': 'application/json' }, 'OK');
  }

  bytes(bytes: Buffer): void {
    this.#handler?.onResponseData?.(this.#controller, bytes);
  }

  bodyEnds(): void {
    this.#handler?.onResponseEnd?.(this.#controller, {});
  }
}

describe('a try for a whole answer', () => {
  it('sets one timer where all goes well, and leaves nothing behind', async () => {
    const plain = new PlainTry();
    plain.clock.advance(3000);
    plain.headers();
    plain.bytes(Buffer.from(JSON.stringify(ANSWER)));
    plain.bodyEnds();
    assert.equal((await plain.end).kind, 'plain');
    assert.equal(plain.clock.timers, 1);
    assert.equal(plain.clock.pending, 0);
    assert.deepEqual(plain.aborts, [], 'its connection can be used again');
  });

  it('may be silent for longer than `idle` before its headers', async () => {
    const plain = new PlainTry();
    plain.clock.advance(ATTEMPT - 1);
    plain.headers();
    plain.bytes(Buffer.from(JSON.stringify(ANSWER)));
    plain.bodyEnds();
    assert.equal((await plain.end).kind, 'plain');
  });

  it('is over after `attempt`, to the millisecond', async () => {
    const plain = new PlainTry();
    plain.clock.advance(ATTEMPT - 1);
    assert.deepEqual(plain.aborts, []);
    plain.clock.advance(1);
    const end = await plain.end;
    assert.ok(end.kind === 'failed');
    assert.equal(end.failure.kind, 'timeout');
    assert.deepEqual(plain.aborts, [1000 + ATTEMPT]);
    assert.equal(plain.clock.pending, 0);
  });

  it('is over after `idle` between its bytes, to the millisecond, however they came', async () => {
    const plain = new PlainTry();
    plain.clock.advance(7000);
    plain.headers();
    plain.clock.advance(7000);
    plain.bytes(Buffer.from('{"choices":'));
    plain.clock.advance(IDLE - 1);
    assert.deepEqual(plain.aborts, []);
    plain.clock.advance(1);
    const end = await plain.end;
    assert.ok(end.kind === 'failed');
    assert.equal(end.failure.kind, 'broken_body');
    assert.deepEqual(plain.aborts, [1000 + 14_000 + IDLE]);
  });
});

describe('the timer of a try', () => {
  const started = () => {
    const clock = new CountingClock(0);
    const wokenAt: number[] = [];
    return {
      clock,
      wokenAt,
      timer: new BoundsTimer(clock, { timerWentOff: () => wokenAt.push(clock.now()) }),
    };
  };

  it('is not set anew for what is due later, and is for what is due sooner', () => {
    const { clock, wokenAt, timer } = started();
    timer.set(100, clock.now());
    timer.set(200, clock.now());
    timer.set(100, clock.now());
    assert.equal(clock.timers, 1);
    timer.set(50, clock.now());
    assert.equal(clock.timers, 2);
    clock.advance(300);
    assert.deepEqual(wokenAt, [50]);
  });

  it('can be set again once it has gone off, and goes off at once for what is overdue', () => {
    const { clock, wokenAt, timer } = started();
    timer.set(100, clock.now());
    clock.advance(100);
    timer.set(400, clock.now());
    clock.advance(300);
    timer.set(10, clock.now());
    clock.advance(0);
    assert.deepEqual(wokenAt, [100, 400, 400]);
  });

  it('does not go off any more once it is cleared', () => {
    const { clock, wokenAt, timer } = started();
    timer.set(100, clock.now());
    timer.clear();
    clock.advance(200);
    assert.deepEqual(wokenAt, []);
    assert.equal(clock.pending, 0);
  });
});
