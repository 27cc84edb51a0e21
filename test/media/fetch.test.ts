import assert from 'node:assert/strict';
import diagnostics from 'node:diagnostics_channel';
import { describe, it, type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { Cancellation } from '../../src/core/cancellation.ts';
import { MediaError } from '../../src/media/media-error.ts';
import { Stop } from '../../src/media/stop.ts';
import { AUTHORITY, ELSEWHERE, SERVER } from '../support/certificates.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { openFetcher, openHost, PNG, PNG_URL, picture } from './kit.ts';

const rejects = (promise: Promise<unknown>, message: string) =>
  assert.rejects(promise, (error) => {
    assert.ok(error instanceof MediaError);
    assert.equal(error.message, message);
    return true;
  });

/** Resolves when the beginning of an answer has come to the fetcher. */
function bodyBegins(t: TestContext): Promise<void> {
  return new Promise((resolve) => {
    const note = () => setImmediate(resolve);
    diagnostics.subscribe('undici:request:headers', note);
    t.after(() => diagnostics.unsubscribe('undici:request:headers', note));
  });
}

const LATE = 'The URL did not give the file in time.';
const UNREACHABLE = 'The URL could not be reached.';
const LOCAL = { allow: ['127.0.0.1'] };

describe('a file that is fetched', () => {
  it('comes as base64 with its type, from one question without cookies, names or compression', async (t) => {
    const host = await openHost(t);
    const { fetcher, clock } = openFetcher(LOCAL);
    const media = await fetcher.fetch(`${host.url}/a%20b.png?q=1#part`, 'image');
    assert.deepEqual(media, { mediaType: 'image/png', url: PNG_URL });
    assert.deepEqual(host.paths, ['/a%20b.png?q=1']);
    assert.deepEqual(host.headers, [
      {
        host: `127.0.0.1:${host.port}`,
        connection: 'keep-alive',
        accept: 'image/*',
        'accept-encoding': 'identity',
        'user-agent': 'spillway',
      },
    ]);
    assert.equal(clock.pending, 0);
    await host.quiet();
  });

  it('keeps no cookie from one hop to the next, nor from one file to another', async (t) => {
    const host = await openHost(t, (request, response) => {
      response.setHeader('set-cookie', 'a=1');
      if (request.url === '/') response.writeHead(302, { location: '/next' }).end();
      else picture(request, response);
    });
    const { fetcher } = openFetcher(LOCAL);
    for (let times = 0; times < 2; times++) await fetcher.fetch(`${host.url}/`, 'image');
    assert.deepEqual(host.paths, ['/', '/next', '/', '/next']);
    for (const headers of host.headers) assert.equal(headers['cookie'], undefined);
  });

  it('is what was asked for, by its bytes', async (t) => {
    const answers: Record<string, [string, string]> = {
      '/lies': ['image/png', '<html>'],
      '/text': ['text/csv; charset=utf-8', 'a,b'],
      '/pdf': ['text/html', '%PDF-1.7'],
      '/none': ['', 'plain'],
    };
    const host = await openHost(t, (request, response) => {
      const [type, body] = answers[request.url ?? ''] ?? ['', ''];
      response.writeHead(200, type === '' ? {} : { 'content-type': type }).end(body);
    });
    const { fetcher } = openFetcher(LOCAL);
    await rejects(fetcher.fetch(`${host.url}/lies`, 'image'), 'The URL holds no image.');
    await rejects(fetcher.fetch(`${host.url}/lies`, 'file'), 'The URL holds no file that can be read.');
    const typeOf = async (path: string) => (await fetcher.fetch(`${host.url}${path}`, 'file')).mediaType;
    assert.equal(await typeOf('/text'), 'text/csv');
    assert.equal(await typeOf('/pdf'), 'application/pdf');
    assert.equal(await typeOf('/none'), 'text/plain');
    assert.equal(host.headers.at(-1)?.['accept'], '*/*');
  });

  it('is none where the host answers with anything but 200, or compressed', async (t) => {
    const host = await openHost(t, (request, response) => {
      if (request.url === '/gzip') response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(PNG));
      else if (request.url === '/identity')
        response.writeHead(200, { 'content-encoding': 'identity' }).end(PNG);
      else response.writeHead(Number(request.url?.slice(1)), { 'content-type': 'image/png' }).end(PNG);
    });
    const { fetcher } = openFetcher(LOCAL);
    for (const status of [201, 206, 300, 302, 304, 401, 404, 500]) {
      await rejects(fetcher.fetch(`${host.url}/${status}`, 'image'), `The URL answers with HTTP ${status}.`);
    }
    await rejects(fetcher.fetch(`${host.url}/gzip`, 'image'), 'The URL answers with a compressed file.');
    assert.equal((await fetcher.fetch(`${host.url}/identity`, 'image')).url, PNG_URL);
    await host.quiet();
  });
});

describe('a file that is too large', () => {
  it('is given up by what the host announces, before a byte of it', async (t) => {
    const host = await openHost(t, (_request, response) => {
      response.writeHead(200, { 'content-length': 1024 * 1024 + 1 }).flushHeaders();
    });
    const { fetcher } = openFetcher({ ...LOCAL, most: 1024 * 1024 });
    await rejects(fetcher.fetch(host.url, 'image'), 'The file is larger than 1 MB.');
    await host.quiet();
  });

  it('is given up when more has come, whatever was announced', async (t) => {
    const host = await openHost(t, (_request, response) => {
      const more = () => {
        while (response.writable && response.write(Buffer.alloc(65_536)));
      };
      response.on('drain', more);
      more();
    });
    const { fetcher } = openFetcher({ ...LOCAL, most: 1024 * 1024 });
    await rejects(fetcher.fetch(host.url, 'image'), 'The file is larger than 1 MB.');
    await host.quiet();
  });

  it('may have just as many bytes as are allowed', async (t) => {
    const host = await openHost(t);
    const { fetcher } = openFetcher({ ...LOCAL, most: PNG.length });
    assert.equal((await fetcher.fetch(host.url, 'image')).url, PNG_URL);
    const less = openFetcher({ ...LOCAL, most: PNG.length - 1 });
    await rejects(less.fetcher.fetch(host.url, 'image'), 'The file is larger than 0 MB.');
    await fetcher.fetch(host.url, 'image', {}, { bytes: PNG.length });
    const allowance = { bytes: PNG.length * 2 - 1 };
    await fetcher.fetch(host.url, 'image', {}, allowance);
    assert.equal(allowance.bytes, PNG.length - 1);
    await rejects(
      fetcher.fetch(host.url, 'image', {}, allowance),
      'The files of the request are larger than 32 MB together.',
    );
  });
});

describe('a file that does not come', () => {
  for (const [what, after, begin] of [
    ['an answer', 5000, () => {}],
    ['the rest of it', 10_000, (response: { write(text: Buffer): void }) => response.write(PNG)],
  ] as const) {
    it(`is given up after ${after / 1000} s without ${what}`, async (t) => {
      const host = await openHost(t, (_request, response) => begin(response));
      const { fetcher, clock } = openFetcher(LOCAL);
      const begun = after === 5000 ? null : bodyBegins(t);
      const late = rejects(fetcher.fetch(host.url, 'image'), LATE);
      await host.asked(1);
      await begun;
      let isOver = false;
      late.then(() => {
        isOver = true;
      });
      await clock.advanceAsync(after - 1);
      await new Promise(setImmediate);
      assert.equal(isOver, false);
      clock.advance(1);
      await late;
      await host.quiet();
      assert.equal(clock.pending, 0);
    });
  }

  it('is waited for as long as it comes', async (t) => {
    let write = () => {};
    let end = () => {};
    const host = await openHost(t, (_request, response) => {
      response.writeHead(200, { 'content-type': 'image/png' }).write(PNG);
      write = () => response.write(Buffer.alloc(8192));
      end = () => response.end();
    });
    const { fetcher, clock } = openFetcher(LOCAL);
    const allowance = { bytes: 100_000 };
    const file = fetcher.fetch(host.url, 'image', {}, allowance);
    for (let windows = 0; windows < 3; windows++) {
      const left = 100_000 - PNG.length - windows * 8192;
      while (allowance.bytes > left) await new Promise(setImmediate);
      clock.advance(5000);
      write();
    }
    while (allowance.bytes > 100_000 - PNG.length - 3 * 8192) await new Promise(setImmediate);
    end();
    assert.equal((await file).mediaType, 'image/png');
  });

  it('is given up at the deadline, or at once if that is over', async (t) => {
    const host = await openHost(t, () => {});
    const { fetcher, clock } = openFetcher(LOCAL);
    clock.advance(1000);
    const late = rejects(fetcher.fetch(host.url, 'image', { deadline: 1500 }), LATE);
    await host.asked(1);
    clock.advance(500);
    await late;
    const over = rejects(fetcher.fetch(host.url, 'image', { deadline: 100 }), LATE);
    clock.advance(0);
    await over;
  });

  it('is given up when its request is', async (t) => {
    const host = await openHost(t, () => {});
    const { fetcher, clock } = openFetcher(LOCAL);
    const cancellation = new Cancellation();
    const given = rejects(fetcher.fetch(host.url, 'image', { cancellation }), 'The request was given up.');
    await host.asked(1);
    cancellation.cancel('client_gone');
    await given;
    await host.quiet();
    await rejects(fetcher.fetch(host.url, 'image', { cancellation }), 'The request was given up.');
    assert.equal(host.paths.length, 1);
    assert.equal(clock.pending, 0);
  });

  it('is given up while its host is looked up', async () => {
    const { fetcher, clock } = openFetcher({ lookup: () => new Promise(() => {}) });
    const late = rejects(fetcher.fetch('http://slow.test/', 'image'), LATE);
    await clock.advanceAsync(5000);
    await late;
  });

  it('is no matter of who is not there, or hangs up', async (t) => {
    const host = await openHost(t, (request) => request.socket.destroy());
    const { fetcher } = openFetcher({ allow: ['127.0.0.1', '127.0.0.9'] });
    await rejects(fetcher.fetch(host.url, 'image'), UNREACHABLE);
    await rejects(fetcher.fetch(`http://127.0.0.9:${host.port}/`, 'image'), UNREACHABLE);
    const short = await openHost(t, (request, response) => {
      response.writeHead(200, { 'content-length': 100 }).write(PNG, () => request.socket.destroy());
    });
    await rejects(fetcher.fetch(short.url, 'image'), UNREACHABLE);
  });
});

describe('over TLS', () => {
  const names = { 'upstream.test': ['127.0.0.1'] };
  const options = { names, allow: ['upstream.test'] };

  it('a host is held to its name, whichever address it was found at', async (t) => {
    const host = await openHost(t, picture, { tls: SERVER });
    const url = `https://upstream.test:${host.port}/`;
    assert.equal((await openFetcher({ ...options, ca: AUTHORITY }).fetcher.fetch(url, 'image')).url, PNG_URL);
    await rejects(openFetcher(options).fetcher.fetch(url, 'image'), UNREACHABLE);
    const other = await openHost(t, picture, { tls: ELSEWHERE });
    const elsewhere = `https://upstream.test:${other.port}/`;
    await rejects(openFetcher({ ...options, ca: AUTHORITY }).fetcher.fetch(elsewhere, 'image'), UNREACHABLE);
    assert.equal(other.paths.length, 0);
  });

  it('a redirect to plain HTTP is not followed', async (t) => {
    const plain = await openHost(t);
    const host = await openHost(
      t,
      (_request, response) => response.writeHead(302, { location: plain.url }).end(),
      { tls: SERVER },
    );
    const { fetcher } = openFetcher({ ...options, allow: ['upstream.test', '127.0.0.1'], ca: AUTHORITY });
    const url = `https://upstream.test:${host.port}/`;
    await rejects(fetcher.fetch(url, 'image'), 'The URL redirects from https to http.');
    assert.equal(plain.paths.length, 0);
  });
});

describe('files under way', () => {
  it('are so many at a time, and the others wait in turn', async (t) => {
    const held: (() => void)[] = [];
    const host = await openHost(t, (request, response) => held.push(() => picture(request, response)));
    const { fetcher, clock } = openFetcher({ ...LOCAL, concurrency: 4 });
    const fetches = ['/1', '/2', '/3', '/4'].map((path) => fetcher.fetch(`${host.url}${path}`, 'image'));
    await host.asked(2);
    assert.deepEqual([...host.paths].sort(), ['/1', '/2']);
    held.shift()?.();
    await host.asked(3);
    held.shift()?.();
    await host.asked(4);
    assert.deepEqual(host.paths.slice(2), ['/3', '/4']);
    for (const end of held) end();
    assert.equal((await Promise.all(fetches)).length, 4);
    assert.equal(clock.pending, 0);
  });

  it('give their place back however they end, also to those behind one that gave up', async (t) => {
    const host = await openHost(t, (request, response) => {
      if (request.url === '/hangs') return;
      picture(request, response);
    });
    const { fetcher } = openFetcher({ ...LOCAL, concurrency: 1 });
    const [first, second] = [new Cancellation(), new Cancellation()];
    const hanging = fetcher.fetch(`${host.url}/hangs`, 'image', { cancellation: first });
    const waiting = fetcher.fetch(`${host.url}/never`, 'image', { cancellation: second });
    const last = fetcher.fetch(`${host.url}/last`, 'image');
    await host.asked(1);
    second.cancel('client_gone');
    await rejects(waiting, 'The request was given up.');
    first.cancel('client_gone');
    await rejects(hanging, 'The request was given up.');
    await last;
    await rejects(fetcher.fetch('ftp://x/', 'image'), 'Only https and http URLs can be fetched.');
    await fetcher.fetch(`${host.url}/again`, 'image');
    assert.deepEqual(host.paths, ['/hangs', '/last', '/again']);
  });

  it('wait 10 s for their turn at most, and have all their time when it comes', async () => {
    const looked: string[] = [];
    const lookup = (host: string) => {
      looked.push(host);
      return new Promise<never>(() => {});
    };
    const { fetcher, clock } = openFetcher({ concurrency: 1, timeout: 4000, lookup });
    const ends: [string, number, string][] = [];
    for (const owner of ['a', 'b', 'c', 'd']) {
      fetcher.fetch(`http://${owner}.test/`, 'image', { owner }).catch((error) => {
        ends.push([owner, clock.now(), error.message]);
      });
    }
    for (let seconds = 0; seconds < 20; seconds++) await clock.advanceAsync(1000);
    const busy = 'Too many files are being fetched now, and the turn of this one did not come in time.';
    assert.deepEqual(ends, [
      ['a', 4000, LATE],
      ['b', 8000, LATE],
      ['d', 10_000, busy],
      ['c', 12_000, LATE],
    ]);
    assert.deepEqual(looked, ['a.test', 'b.test', 'c.test']);
    assert.equal(clock.pending, 0);
  });

  it('of one tenant leave places for others', async (t) => {
    const host = await openHost(t, (request, response) => {
      if (request.url === '/quick') picture(request, response);
    });
    const { fetcher } = openFetcher(LOCAL);
    const slow = new Cancellation();
    const limits = { owner: 'greedy', cancellation: slow };
    const fetches = Array.from({ length: 40 }, (_, index) =>
      fetcher.fetch(`${host.url}/${index}`, 'image', limits),
    );
    await host.asked(12);
    const { url } = await fetcher.fetch(`${host.url}/quick`, 'image', { owner: 'other' });
    assert.equal(url, PNG_URL);
    assert.equal(host.paths.length, 13);
    slow.cancel('client_gone');
    await Promise.allSettled(fetches);
  });

  it('go on as long as they come at a pace, and no longer than 20 s', async () => {
    const every = { every: 5000, least: 8192 };
    const clock = new ManualClock();
    const stop = new Stop(clock, {});
    stop.within(20_000, 'late');
    stop.atPace(every, 'slow');
    for (let window = 0; window < 3; window++) {
      stop.came(4096);
      clock.advance(4999);
      stop.came(4096);
      clock.advance(1);
      assert.equal(stop.signal.aborted, false);
    }
    stop.came(8192 * 5);
    clock.advance(5000);
    assert.equal(stop.signal.reason.message, 'late');
    stop.end();
    assert.equal(clock.pending, 0);
    const slow = new Stop(clock, {});
    slow.atPace(every, 'slow');
    slow.came(8192);
    clock.advance(5000);
    slow.came(8191);
    clock.advance(5000);
    assert.equal(slow.signal.reason.message, 'slow');
    slow.end();
  });
});
