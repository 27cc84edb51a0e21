import assert from 'node:assert/strict';
import type { RequestListener } from 'node:http';
import { describe, it, type TestContext } from 'node:test';
import { openHost, PNG_64, picture } from '../media/kit.ts';
import { until } from '../support/rig.ts';
import { bodyOf, CLIENTS, type Client, post } from './clients.ts';
import { ADAPTERS } from './loop.ts';
import { COUNTS, type Saying } from './saying.ts';
import { answerTo } from './speech.ts';
import { startStage } from './stage.ts';

const HELLO: Saying = { text: ['A cat.'], counts: COUNTS };

/** Those that are sent bytes; the others fetch by themselves. */
const FETCHED = ['bedrock', 'gemini', 'vertex'] as const;

/** A question about a picture, as each client asks it. */
function about(client: Client, url: string): object {
  const parts = {
    chat: { type: 'image_url', image_url: { url } },
    messages: { type: 'image', source: { type: 'url', url } },
    responses: { type: 'input_image', image_url: url, detail: 'auto' },
  };
  const content = [parts[client]];
  return client === 'responses'
    ? { input: [{ role: 'user', content }] }
    : { messages: [{ role: 'user', content }] };
}

/** A stage whose gateway may fetch from `pictures.test`, which is on this machine, and from nowhere else on it. */
async function gallery(t: TestContext, listener: RequestListener = picture) {
  const host = await openHost(t, listener);
  const media = {
    allow: ['pictures.test'],
    lookup: async (name: string) => {
      if (name !== 'pictures.test') throw new Error('no such host');
      return [{ address: '127.0.0.1', family: 4 }];
    },
  };
  const stage = await startStage(t, { media });
  for (const upstream of Object.values(stage.upstreams))
    upstream.reply((request) => answerTo(request, HELLO));
  return { ...stage, host, url: `http://pictures.test:${host.port}/cat.png` };
}

describe('a picture that is named by URL', () => {
  for (const client of CLIENTS) {
    it(`is fetched, and sent along as bytes, where a provider takes nothing else: ${client}`, async (t) => {
      const { gateway, upstreams, host, url } = await gallery(t);
      for (const adapter of FETCHED) {
        for (const stream of [false, true]) {
          const answer = await post(
            gateway,
            client,
            bodyOf(client, adapter, { ...about(client, url), stream }),
          );
          assert.match(await answer.text(), /A cat\./);
          const sent = upstreams[adapter].requests.at(-1)?.json() ?? {};
          const expected =
            adapter === 'bedrock'
              ? { role: 'user', content: [{ image: { format: 'png', source: { bytes: PNG_64 } } }] }
              : { role: 'user', parts: [{ inlineData: { mimeType: 'image/png', data: PNG_64 } }] };
          assert.deepEqual(sent[adapter === 'bedrock' ? 'messages' : 'contents'], [expected]);
        }
      }
      assert.equal(host.paths.length, 2 * FETCHED.length);
      assert.ok(host.headers.every((headers) => headers['authorization'] === undefined));
    });

    it(`goes to a provider that fetches by itself as its URL: ${client}`, async (t) => {
      const { gateway, upstreams, host } = await gallery(t);
      const url = 'https://pictures.test/cat.png';
      for (const adapter of ADAPTERS.filter((one) => !(FETCHED as readonly string[]).includes(one))) {
        const answer = await post(gateway, client, bodyOf(client, adapter, about(client, url)));
        assert.equal(answer.status, 200, await answer.text());
        assert.ok(upstreams[adapter].requests[0]?.body.toString().includes(JSON.stringify(url)));
      }
      assert.deepEqual(host.paths, []);
    });
  }

  it('is fetched for Anthropic where it is not on https, which is all that Anthropic takes', async (t) => {
    const { gateway, upstreams, url } = await gallery(t);
    await post(gateway, 'chat', bodyOf('chat', 'anthropic', about('chat', url)));
    const source = { type: 'base64', media_type: 'image/png', data: PNG_64 };
    const sent = upstreams.anthropic.requests[0]?.json()['messages'];
    assert.deepEqual(sent, [{ role: 'user', content: [{ type: 'image', source }] }]);
  });

  it('is fetched once for all targets that want it', async (t) => {
    const { gateway, upstreams, host, url } = await gallery(t);
    upstreams.bedrock.dropConnections('reset');
    upstreams.bedrock.reply(() => (exchange) => exchange.end('reset'));
    const answer = await post(gateway, 'chat', bodyOf('chat', 'bedrock-then-gemini', about('chat', url)));
    assert.equal(answer.status, 200, await answer.text());
    assert.equal(upstreams.bedrock.requests.length, 1);
    assert.equal(host.paths.length, 1);
  });
});

describe('a URL that is nobody’s business', () => {
  const urls = [
    'http://169.254.169.254/latest/meta-data/',
    'http://[::1]/cat.png',
    'http://nowhere.test/cat.png',
    'http://10.0.0.1/cat.png',
  ];

  for (const client of CLIENTS) {
    it(`is a clear error, which tells nothing of what is there: ${client}`, async (t) => {
      const { gateway, host, upstreams } = await gallery(t);
      const texts = new Set<string>();
      for (const adapter of FETCHED) {
        for (const url of [`http://127.0.0.1:8080/cat.png`, ...urls]) {
          const answer = await post(gateway, client, bodyOf(client, adapter, about(client, url)));
          assert.equal(answer.status, 400);
          const { error } = (await answer.json()) as { error: { message: string; param?: string } };
          texts.add(error.message.replace(/^messages\[0\]\.content\[0\]: |'\w+'/g, ''));
          if (client === 'chat') assert.equal(error.param, 'messages[0].content[0]');
        }
        assert.equal(upstreams[adapter].requests.length, 0);
      }
      assert.deepEqual(
        texts,
        new Set(['No target of  can take this request. The URL could not be reached.']),
      );
      assert.deepEqual(host.paths, [], 'nothing was asked');
    });
  }

  it('may be what a provider that fetches by itself can reach', async (t) => {
    const { gateway, host } = await gallery(t);
    const url = 'https://127.0.0.1/cat.png';
    for (const adapter of FETCHED) {
      const answer = await post(
        gateway,
        'chat',
        bodyOf('chat', `${adapter}-then-anthropic`, about('chat', url)),
      );
      assert.match(await answer.text(), /A cat\./);
      assert.match(answer.headers.get('x-spillway-target') ?? '', /^anthropic\//);
    }
    assert.deepEqual(host.paths, []);
  });

  it('is not reached by way of a redirect', async (t) => {
    const { gateway, host, url } = await gallery(t, (request, response) => {
      response.writeHead(302, { location: `http://127.0.0.1:${host.port}${request.url}/again` }).end();
    });
    const answer = await post(gateway, 'chat', bodyOf('chat', 'gemini', about('chat', url)));
    assert.equal(answer.status, 400, await answer.text());
    assert.equal(host.paths.length, 1);
  });
});

describe('a client that leaves while its picture is fetched', () => {
  it('leaves nothing behind', async (t) => {
    const { gateway, host, upstreams, url } = await gallery(t, () => {});
    for (const client of CLIENTS) {
      const leaving = new AbortController();
      const before = host.paths.length;
      const asked = post(gateway, client, bodyOf(client, 'bedrock', about(client, url)), {
        signal: leaving.signal,
      });
      await host.asked(before + 1);
      leaving.abort();
      await assert.rejects(asked);
      await host.quiet();
    }
    const lines = await gateway.ended(3);
    for (const line of lines) {
      assert.deepEqual([line.status, line.outcome, line.tries, line.tokens], [499, 'client_gone', [], null]);
    }
    assert.equal(upstreams.bedrock.requests.length, 0);
    await until(() => host.sockets.size === 0);
    assert.equal(await gateway.metric('spillway_in_flight'), 0);
  });
});
