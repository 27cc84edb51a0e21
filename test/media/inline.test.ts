import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Json, JsonObject } from '../../src/core/json.ts';
import { inlineMedia, needsMedia } from '../../src/media/inline.ts';
import { MediaError } from '../../src/media/media-error.ts';
import { openFetcher, openHost, PNG, PNG_64, picture } from './kit.ts';

const LOCAL = { allow: ['127.0.0.1'] };
const DATA = `data:image/png;base64,${PNG_64}`;
const all = () => true;

const image = (url: string) => ({ type: 'image_url', image_url: { url, detail: 'low' } });
const user = (...content: Json[]): JsonObject => ({ role: 'user', content });

function freeze<T extends Json>(value: T): T {
  if (typeof value === 'object' && value !== null) for (const inner of Object.values(value)) freeze(inner);
  return Object.freeze(value);
}

describe('pictures and files of a request', () => {
  it('become data URLs where they stand, and the request is not touched', async (t) => {
    const host = await openHost(t);
    const { fetcher } = openFetcher(LOCAL);
    const request = freeze({
      model: 'm',
      messages: [
        { role: 'system', content: 'no parts' },
        user({ type: 'text', text: host.url }, image(`${host.url}/a`), {
          type: 'input_image',
          image_url: `${host.url}/b`,
        }),
        {
          role: 'tool',
          tool_call_id: 'x',
          content: [{ type: 'image_url', image_url: `${host.url}/c`, cache_control: {} }],
        },
        user(
          { type: 'file', file: { filename: 'f', file_url: `${host.url}/d` } },
          { type: 'input_file', file_url: `${host.url}/e`, filename: 'g' },
        ),
      ],
      tools: [{ type: 'function' }],
    } as JsonObject);
    assert.equal(needsMedia(request, all), true);
    const inlined = await inlineMedia(request, all, fetcher);
    assert.deepEqual(inlined, {
      model: 'm',
      messages: [
        { role: 'system', content: 'no parts' },
        user({ type: 'text', text: host.url }, image(DATA), { type: 'input_image', image_url: DATA }),
        {
          role: 'tool',
          tool_call_id: 'x',
          content: [{ type: 'image_url', image_url: DATA, cache_control: {} }],
        },
        user(
          { type: 'file', file: { filename: 'f', file_url: DATA } },
          { type: 'input_file', file_url: DATA, filename: 'g' },
        ),
      ],
      tools: [{ type: 'function' }],
    });
    assert.deepEqual([...host.paths].sort(), ['/a', '/b', '/c', '/d', '/e']);
  });

  it('stay as they are where they need not be fetched', async () => {
    const { fetcher } = openFetcher();
    const parts: Json[] = [
      image(DATA),
      image('gs://bucket/x'),
      image('http://elsewhere.test/'),
      { type: 'image_url' },
      { type: 'image_url', image_url: {} },
      { type: 'file', file: { file_id: 'x' } },
      { type: 'file', file: { file_data: 'AAAA', file_url: 'http://a.test/' } },
      { type: 'input_audio', input_audio: { data: 'http://a.test/' } },
      { type: 'text', image_url: 'http://a.test/' },
      null,
      'http://a.test/',
    ];
    const fetches = (url: string) => url.includes('a.test');
    const request = freeze({
      messages: [user(...parts), null, 'x', { role: 'user', content: { type: 'image_url' } }],
    } as JsonObject);
    assert.equal(needsMedia(request, fetches), false);
    assert.equal(await inlineMedia(request, fetches, fetcher), request);
    const empty = freeze({ messages: 'none' } as JsonObject);
    assert.equal(await inlineMedia(empty, all, fetcher), empty);
  });

  it('are fetched once in the life of a request, for however many parts and targets', async (t) => {
    const host = await openHost(t);
    const { fetcher } = openFetcher(LOCAL);
    const request = freeze({
      messages: [user(image(host.url), image(host.url)), user(image(host.url))],
    } as JsonObject);
    const [first, second] = await Promise.all([
      inlineMedia(request, all, fetcher),
      inlineMedia(request, all, fetcher),
    ]);
    assert.deepEqual(first, second);
    await inlineMedia(request, all, fetcher);
    assert.equal(host.paths.length, 1);
    await inlineMedia(structuredClone(request), all, fetcher);
    assert.equal(host.paths.length, 2);
  });

  it('that cannot be had are named by their place, with the reason', async (t) => {
    const host = await openHost(t, (_request, response) => response.writeHead(404).end());
    const { fetcher } = openFetcher(LOCAL);
    const request = {
      messages: [user('x'), user({ type: 'text', text: 'x' }, image(`${host.url}/`))],
    } as JsonObject;
    for (let times = 0; times < 2; times++) {
      await assert.rejects(inlineMedia(request, all, fetcher), (error) => {
        assert.ok(error instanceof MediaError);
        assert.deepEqual(
          [error.param, error.message],
          ['messages[1].content[1]', 'The URL answers with HTTP 404.'],
        );
        return true;
      });
    }
    assert.equal(host.paths.length, 1);
  });

  it('are 32 at most, and four of a request at a time', async (t) => {
    const held: (() => void)[] = [];
    const host = await openHost(t, (request, response) => held.push(() => picture(request, response)));
    const { fetcher } = openFetcher(LOCAL);
    const request = (count: number): JsonObject => ({
      messages: [user(...Array.from({ length: count }, (_, index) => image(`${host.url}/${index}`)))],
    });
    await assert.rejects(inlineMedia(request(33), all, fetcher), (error) => {
      assert.ok(error instanceof MediaError);
      assert.deepEqual(
        [error.param, error.message],
        ['messages', 'More than 32 URLs in one request are not fetched.'],
      );
      return true;
    });
    assert.equal(host.paths.length, 0);
    const inlined = inlineMedia(request(32), all, fetcher);
    for (let done = 0; done < 32; done++) {
      await host.asked(Math.min(32, done + 4));
      assert.equal(host.paths.length, Math.min(32, done + 4));
      held[done]?.();
    }
    await inlined;
    const same: JsonObject = {
      messages: [user(...Array.from({ length: 40 }, () => image(`${host.url}/0`)))],
    };
    const once = inlineMedia(same, all, fetcher);
    await host.asked(33);
    held.at(-1)?.();
    await once;
  });

  it('may come to so many bytes together', async (t) => {
    const host = await openHost(t);
    const { fetcher } = openFetcher({ ...LOCAL, mostOfRequest: PNG.length * 3 - 1 });
    const request = (...paths: string[]): JsonObject => ({
      messages: [user(...paths.map((path) => image(`${host.url}${path}`)))],
    });
    await inlineMedia(request('/1', '/2', '/1'), all, fetcher);
    await assert.rejects(
      inlineMedia(request('/1', '/2', '/3'), all, fetcher),
      /files of the request are larger than 0 MB together/,
    );
  });

  it('are not fetched any more once one of them has failed', async (t) => {
    const host = await openHost(t, (_request, response) => response.writeHead(404).end());
    const { fetcher } = openFetcher({ ...LOCAL, concurrency: 1 });
    const request = {
      messages: [user(...Array.from({ length: 20 }, (_, index) => image(`${host.url}/${index}`)))],
    } as JsonObject;
    await assert.rejects(inlineMedia(request, all, fetcher), MediaError);
    await host.quiet();
    assert.ok(host.paths.length <= 4, `${host.paths.length}`);
  });

  it('make no fault of whatever else a request holds', async () => {
    const { fetcher } = openFetcher();
    const part = fc.oneof(
      fc.record(
        {
          type: fc.constantFrom('image_url', 'file', 'input_file', 'input_image', 'text'),
          image_url: fc.jsonValue({ maxDepth: 2 }),
          file: fc.jsonValue({ maxDepth: 2 }),
          file_url: fc.jsonValue({ maxDepth: 1 }),
        },
        { requiredKeys: ['type'] },
      ),
      fc.jsonValue({ maxDepth: 2 }),
    ) as fc.Arbitrary<Json>;
    const message = fc.oneof(fc.record({ content: fc.array(part) }), fc.jsonValue()) as fc.Arbitrary<Json>;
    await fc.assert(
      fc.asyncProperty(fc.array(message), async (messages) => {
        const request = { messages };
        assert.equal(await inlineMedia(request, all, fetcher), request);
      }),
    );
  });
});
