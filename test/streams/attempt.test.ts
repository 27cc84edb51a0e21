import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import type { Dispatcher } from 'undici';
import { Cancellation } from '../../src/core/cancellation.ts';
import type { Failure } from '../../src/core/outcome.ts';
import { chatAnswer } from '../../src/providers/openai/chat-answer.ts';
import { attempt } from '../../src/upstream/attempt.ts';
import type { AttemptEnd, AttemptRequest } from '../../src/upstream/attempt-request.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { FINISH, ROLE, text, turns, until } from '../support/rig.ts';

/** Moments that no socket can be made to bring about: a try whose bytes come from the test, one by one. */
class Scene {
  readonly clock = new ManualClock(1000);
  readonly cancellation = new Cancellation();
  /** What the try did to its connection. */
  readonly did: string[] = [];
  readonly written: string[] = [];
  /** What the try was told to be over with; 'not yet' before. */
  over: Failure | null | 'not yet' = 'not yet';
  ended: Failure | null | 'not yet' = 'not yet';
  /** Takes the reader more? */
  ready = true;
  #handler: Dispatcher.DispatchHandler | null = null;
  readonly #end: Promise<AttemptEnd>;

  constructor(timeouts: { firstToken?: number; idle?: number; attempt?: number; total?: number } = {}) {
    const { firstToken = 30_000, idle = 10_000, attempt: whole = 300_000, total = 600_000 } = timeouts;
    const dispatcher = {
      dispatch: (_options: unknown, handler: Dispatcher.DispatchHandler) => {
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
      streaming: { choices: 1, wantsUsage: true, named: false },
      timeouts: { connect: 5_000, firstToken, idle, attempt: whole, total },
      deadline: this.clock.now() + total,
      clock: this.clock,
      cancellation: this.cancellation,
      redact: (words) => words,
      dropped: () => {},
      streamOver: (failure) => {
        this.over = failure;
      },
    };
    this.#end = attempt(request, request, this.clock.now());
  }

  readonly #controller = {
    pause: () => void this.did.push('pause'),
    resume: () => void this.did.push('resume'),
    abort: () => void this.did.push('abort'),
  } as unknown as Dispatcher.DispatchController;

  headers(headers: Record<string, string> = {}): void {
    const all = { 'content-type': 'text/event-stream', ...headers };
    this.#handler?.onResponseStart?.(this.#controller, 200, all, 'OK');
  }

  bytes(bytes: Buffer): void {
    this.#handler?.onResponseData?.(this.#controller, bytes);
  }

  events(...events: object[]): void {
    this.bytes(encoded(...events));
  }

  bodyEnds(): void {
    this.#handler?.onResponseEnd?.(this.#controller, {});
  }

  breaksOff(): void {
    this.#handler?.onResponseError?.(this.#controller, new Error('other side closed'));
  }

  /** Starts to read what has begun. */
  async read(): Promise<{ resume(): void }> {
    const end = await this.#end;
    assert.equal(end.kind, 'stream');
    if (end.kind !== 'stream') throw new Error();
    end.stream.flow({
      write: (bytes) => {
        this.written.push(bytes.toString());
        return this.ready;
      },
      end: (failure) => {
        this.ended = failure;
      },
    });
    return end.stream;
  }

  get failed(): Promise<AttemptEnd> {
    return this.#end;
  }
}

function encoded(...events: object[]): Buffer {
  return Buffer.from(events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join(''));
}

const PACKERS = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync, zstd: zstdCompressSync };

describe('a try', () => {
  it('waits for `idle` anew when its reader takes more after a long while, though nothing came', async () => {
    const scene = new Scene();
    scene.headers();
    scene.events(ROLE, text('a'));
    scene.ready = false;
    const stream = await scene.read();
    scene.clock.advance(60_000);
    assert.equal(scene.over, 'not yet');
    scene.ready = true;
    stream.resume();
    scene.clock.advance(9_999);
    assert.equal(scene.over, 'not yet');
    scene.clock.advance(1);
    assert.equal((scene.ended as unknown as Failure).kind, 'broken_body');
    assert.equal(scene.clock.pending, 0);
  });

  it('waits another second for usage when its reader takes more after a long while', async () => {
    const scene = new Scene();
    scene.headers();
    scene.events(ROLE, text('a'));
    const stream = await scene.read();
    scene.ready = false;
    scene.events(FINISH);
    scene.clock.advance(5_000);
    assert.equal(scene.over, 'not yet');
    scene.ready = true;
    stream.resume();
    scene.clock.advance(999);
    assert.equal(scene.over, 'not yet');
    scene.clock.advance(1);
    assert.equal(scene.over, null);
    assert.equal(scene.ended, null);
    assert.deepEqual(scene.did.slice(-1), ['resume'], 'the body may end');
    scene.bodyEnds();
    assert.equal(scene.clock.pending, 0);
  });

  it('reads on to the end of the body, though its reader is slow, once that has all', async () => {
    const scene = new Scene();
    scene.headers();
    scene.events(ROLE, text('a'));
    await scene.read();
    scene.ready = false;
    scene.bytes(Buffer.concat([encoded(text('b'), FINISH), Buffer.from('data: [DONE]\n\n')]));
    assert.equal(scene.ended, null);
    assert.deepEqual(scene.did.slice(-1), ['resume']);
    scene.bodyEnds();
    assert.equal(scene.clock.pending, 0);
  });

  it('gives the body one second to end, whatever other bound comes first', async () => {
    const scene = new Scene({ attempt: 500, idle: 100 });
    scene.headers();
    scene.bytes(Buffer.concat([encoded(ROLE, FINISH), Buffer.from('data: [DONE]\n\n')]));
    await scene.read();
    assert.equal(scene.ended, null);
    scene.clock.advance(999);
    assert.ok(!scene.did.includes('abort'));
    scene.clock.advance(1);
    assert.deepEqual(scene.did.slice(-1), ['abort']);
    assert.equal(scene.clock.pending, 0);
  });

  it('is whole if the process ends after its finish', async () => {
    const scene = new Scene();
    scene.headers();
    scene.events(ROLE, text('a'), FINISH);
    await scene.read();
    scene.cancellation.cancel('shutdown');
    assert.equal(scene.over, null);
    scene.bodyEnds();
    assert.equal(scene.clock.pending, 0);
  });

  it('is broken if the process ends before', async () => {
    const scene = new Scene();
    scene.headers();
    scene.events(ROLE, text('a'));
    await scene.read();
    scene.cancellation.cancel('shutdown');
    assert.equal((scene.ended as unknown as Failure).kind, 'shutdown');
    assert.equal(scene.clock.pending, 0);
  });

  it('leaves no timer behind where it cannot unpack the body', async () => {
    const scene = new Scene({ idle: 1_000 });
    scene.headers({ 'content-encoding': 'snappy' });
    assert.equal((await scene.failed).kind, 'failed');
    assert.equal(scene.clock.pending, 0);
  });

  it('tells its reader of the end though that came first', async () => {
    const scene = new Scene();
    scene.headers();
    scene.events(ROLE, text('a'));
    scene.breaksOff();
    await scene.read();
    assert.equal(scene.written.join(''), encoded(ROLE, text('a')).toString());
    assert.equal((scene.ended as unknown as Failure).kind, 'broken_body');
  });

  it('does not write to a reader that has said no', async () => {
    const scene = new Scene();
    scene.headers();
    scene.events(ROLE, text('a'));
    scene.ready = false;
    await scene.read();
    assert.deepEqual(scene.did, ['pause'], 'it stays as it was');
  });

  it('takes no more than 64 KB of what has begun before it has a reader', async () => {
    const scene = new Scene();
    scene.headers();
    const events = [ROLE, text('a'), text('b'.repeat(60_000)), text('c'.repeat(10_000))];
    scene.events(...events.slice(0, 3));
    assert.deepEqual(scene.did, []);
    scene.events(...events.slice(3));
    assert.deepEqual(scene.did, ['pause']);
    await scene.read();
    assert.equal(scene.written.join(''), encoded(...events).toString());
    assert.deepEqual(scene.did, ['pause', 'resume']);
  });

  for (const [encoding, pack] of Object.entries(PACKERS)) {
    it(`unpacks all that had come before its connection broke off: ${encoding}`, async () => {
      const scene = new Scene();
      scene.headers({ 'content-encoding': encoding });
      const events = [ROLE, ...Array.from({ length: 50 }, (_, n) => text(`${n} `.repeat(500))), FINISH];
      scene.bytes(pack(encoded(...events)));
      scene.breaksOff();
      await scene.read();
      await until(() => scene.ended !== 'not yet');
      assert.equal(scene.ended, null);
      assert.equal(scene.written.join(''), encoded(...events).toString());
      assert.equal(scene.clock.pending, 0);
    });

    it(`unpacks all that had come, for a reader that was slow as well: ${encoding}`, async () => {
      const scene = new Scene();
      scene.headers({ 'content-encoding': encoding });
      const events = [ROLE, ...Array.from({ length: 50 }, (_, n) => text(`${n} `.repeat(500))), FINISH];
      const packed = pack(encoded(...events));
      scene.ready = false;
      // The packer's own end is missing, as it is where a host is cut off right after its last event.
      const hasOne = encoding === 'gzip' || encoding === 'deflate';
      scene.bytes(hasOne ? packed.subarray(0, -4) : packed);
      const stream = await scene.read();
      await turns(2000);
      scene.breaksOff();
      await turns(2000);
      scene.clock.advance(60_000);
      assert.equal(scene.ended, 'not yet');
      scene.ready = true;
      stream.resume();
      await until(() => scene.ended !== 'not yet');
      assert.equal(scene.ended, null);
      assert.equal(scene.written.join(''), encoded(...events).toString());
      assert.equal(scene.clock.pending, 0);
    });
  }
});
