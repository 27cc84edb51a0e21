import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { openGateway, read, type Seen } from '../outcomes/helpers.ts';
import type { RequestLine, TestGateway } from '../support/gateway.ts';
import { startUpstream, type Upstream, type UpstreamRequest } from '../support/upstream.ts';

export interface SceneOptions {
  /** Settings of the model's node; with `retry`, tries are repeated without waiting. */
  node?: object;
  /** Of the first provider, over the usual ones. */
  provider?: object;
  server?: object;
  /** Settings of the second target. Without, there is none. */
  second?: object;
}

/** A gateway whose model `m` is the target `a/up`, no retries unless said, and the stand-ins behind it. */
export interface Scene {
  upstream: Upstream;
  second: Upstream;
  gateway: TestGateway;
  /** Posts these bytes as they are. */
  post(body: string | Uint8Array, headers?: Record<string, string>): Promise<Seen>;
  /** Posts them and returns what the upstream got; fails unless it was asked once and the client had its answer. */
  passOn(body: string | Uint8Array, headers?: Record<string, string>): Promise<UpstreamRequest>;
}

export async function openScene(t: TestContext, options: SceneOptions = {}): Promise<Scene> {
  const upstream = await startUpstream();
  const second = await startUpstream();
  t.after(async () => {
    await upstream.close();
    await second.close();
  });
  const target = { provider: 'a', model: 'up', retry: { attempts: 0 }, ...options.node };
  const gateway = await openGateway(t, {
    server: { heartbeat: '0', ...options.server },
    providers: {
      a: { adapter: 'openai', base_url: upstream.url, api_key: 'sk-of-the-provider-a', ...options.provider },
      b: { adapter: 'openai', base_url: second.url, api_key: 'sk-of-the-provider-b' },
    },
    models: {
      m:
        options.second === undefined
          ? target
          : {
              strategy: { mode: 'fallback' },
              targets: [target, { provider: 'b', model: 'other', retry: { attempts: 0 }, ...options.second }],
            },
    },
  });
  const post: Scene['post'] = (body, headers = {}) =>
    read(
      fetch(`${gateway.url}/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: body as string,
      }),
    );
  return {
    upstream,
    second,
    gateway,
    post,
    async passOn(body, headers) {
      const before = upstream.requests.length;
      const seen = await post(body, headers);
      assert.equal(seen.status, 200, seen.text);
      assert.equal(upstream.requests.length, before + 1);
      return upstream.requests[before] as UpstreamRequest;
    },
  };
}

/** `outcome status` of each try of the last request. */
export function triesOf(line: RequestLine | undefined): string[] {
  return (line?.tries ?? []).map(({ outcome, status }) => `${outcome} ${status ?? '-'}`);
}
