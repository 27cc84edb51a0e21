/** The stand-in provider of the bench, and the configurations that it is put behind: what is measured must be answers. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { HELD_EVENT, openai } from '../../bench/answers/openai.ts';
import { PIECE } from '../../bench/answers/words.ts';
import { conversation, type Dialect, PATHS, question } from '../../bench/loads.ts';
import { wrongWith } from '../../bench/measure/check.ts';
import { Running } from '../../bench/process.ts';
import { configuration, type Variant } from '../../bench/start/variant.ts';
import { startGateway } from '../support/gateway.ts';
import { temporaryDirectory } from '../support/process.ts';

const KEY = 'sk-bench-test';
const OTHER_KEY = 'sk-bench-other';
let upstream: { running: Running; origin: string };

before(async (t) => {
  const running = new Running({
    command: process.execPath,
    args: [join(import.meta.dirname, '../../bench/upstream.ts')],
    logFile: join(temporaryDirectory(t as TestContext), 'upstream.log'),
  });
  upstream = { running, origin: await running.listening() };
});
after(() => upstream.running.stop());

async function gatewayOf(t: TestContext, variant: Variant) {
  const config = { ...configuration(variant), listen: '127.0.0.1:0' };
  const { origin } = upstream;
  const keys = { BENCH_KEY: KEY, BENCH_OTHER_KEY: OTHER_KEY };
  const env = { BENCH_UPSTREAM: origin, BENCH_OTHER_UPSTREAM: origin, ...keys };
  const gateway = await startGateway({ ...config, admin: { listen: '127.0.0.1:0' } }, { env });
  t.after(() => gateway.close());
  return gateway;
}

const VARIANTS: readonly (readonly [name: string, variant: Variant, dialect: Dialect])[] = [
  ['as it is', {}, 'chat'],
  ['without quotas', { quotas: false }, 'chat'],
  ['with more tenants and models', { tenants: 30, models: 30 }, 'chat'],
  ['that goes on where a stream breaks', { midStream: 'continue' }, 'chat'],
  ['translated to Anthropic', { adapter: 'anthropic' }, 'chat'],
  ['translated to Gemini', { adapter: 'gemini' }, 'chat'],
  ['translated to Bedrock', { adapter: 'bedrock' }, 'chat'],
  ['relayed to Anthropic', { adapter: 'anthropic' }, 'messages'],
];

describe('behind a gateway, the stand-in is understood', () => {
  for (const [name, variant, dialect] of VARIANTS) {
    it(`${name}: whole, in a stream, and with what it cost`, async (t) => {
      const gateway = await gatewayOf(t, variant);
      const url = gateway.origin + PATHS[dialect];
      const headers = { authorization: `Bearer ${KEY}` };
      const asked = (stream: boolean) => ({
        url,
        headers,
        body: question(dialect, stream ? { stream } : {}),
      });
      assert.equal(await wrongWith(asked(false), dialect, false), null);
      assert.equal(await wrongWith(asked(true), dialect, true), null);
      const lines = await gateway.ended(2);
      assert.deepEqual(
        lines.map(({ outcome, tries, tokens }) => [outcome, tries.length, tokens?.input, tokens?.output]),
        [
          ['ok', 1, 42, 64],
          ['ok', 1, 42, 64],
        ],
      );
    });
  }

  it('for long conversations too', async (t) => {
    const gateway = await gatewayOf(t, {});
    const headers = { authorization: `Bearer ${KEY}` };
    const body = conversation(1024 * 1024);
    assert.equal(body.length, 1024 * 1024);
    assert.equal(await wrongWith({ url: gateway.origin + PATHS.chat, headers, body }, 'chat', false), null);
  });
});

describe('a configuration of a row', () => {
  interface Written {
    tenants: { quotas?: unknown[] }[];
    models: Record<string, unknown>;
    server?: { workers?: number };
    defaults?: { mid_stream?: string };
  }
  const written = (variant: Variant) => configuration(variant) as Written;

  it('has ten tenants and ten models, or as many as the row is about', () => {
    const counts = ({ tenants, models }: Written) => [tenants.length, Object.keys(models).length];
    assert.deepEqual(counts(written({})), [10, 10]);
    assert.deepEqual(counts(written({ tenants: 10_000 })), [10_000, 10]);
    assert.deepEqual(counts(written({ models: 10_000 })), [10, 10_000]);
  });

  it('has quotas unless it is about what they cost', () => {
    assert.ok(written({}).tenants.every(({ quotas }) => quotas?.length === 2));
    assert.ok(written({ quotas: false }).tenants.every(({ quotas }) => quotas === undefined));
  });

  it('says what is otherwise, and nothing where it is as usual', () => {
    const { server, defaults } = written({ workers: 2, midStream: 'continue' });
    assert.deepEqual([server?.workers, defaults?.mid_stream], [2, 'continue']);
    assert.deepEqual([written({}).server, written({}).defaults], [undefined, undefined]);
  });
});

describe('a held stream', () => {
  it('begins at once, goes on event by event, and ends when its reader leaves', async () => {
    await Promise.all(
      (['held', 'slow'] as const).map(async (user) => {
        const left = new AbortController();
        const answer = await fetch(upstream.origin + PATHS.chat, {
          method: 'POST',
          body: question('chat', { stream: true, user }),
          signal: left.signal,
        });
        const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
        const first = Buffer.concat(openai.events.slice(0, 2)).length;
        let length = 0;
        while (length < first + HELD_EVENT.length) length += (await reader.read()).value?.length ?? 0;
        left.abort();
        await assert.rejects(reader.read());
      }),
    );
  });
});

describe('an answer that is not measured', () => {
  const WRONG: Readonly<Record<string, readonly [status: number, body: (whole: Buffer) => string]>> = {
    'an error': [500, String],
    'another text': [200, (whole) => String(whole).replaceAll('relay', 'delay')],
    nothing: [200, () => ''],
  };
  for (const [name, [status, change]] of Object.entries(WRONG)) {
    it(`${name}, whole`, async (t) => {
      assert.notEqual(await wrongWith(await answering(t, status, change(openai.whole)), 'chat', false), null);
    });
  }

  const stream = Buffer.concat([...openai.events, openai.end(false)]).toString();
  const CUT: Readonly<Record<string, string>> = {
    'without its end': stream.replace('data: [DONE]\n\n', ''),
    'without one of its pieces': stream.replace(String(HELD_EVENT), ''),
    'with a piece that is another': stream.replace(PIECE, ' delayed'),
  };
  for (const [name, text] of Object.entries(CUT)) {
    it(`a stream ${name}`, async (t) => {
      assert.equal(await wrongWith(await answering(t, 200, stream), 'chat', true), null);
      assert.notEqual(await wrongWith(await answering(t, 200, text), 'chat', true), null);
    });
  }
});

async function answering(t: TestContext, status: number, text: string) {
  const server: Server = createServer((_request, response) => response.writeHead(status).end(text));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, headers: {}, body: question('chat') };
}
