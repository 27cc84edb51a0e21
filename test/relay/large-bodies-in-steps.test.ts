import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Cancellation } from '../../src/core/cancellation.ts';
import { JsonBody, lookOverAhead } from '../../src/core/json-body.ts';
import { Printing } from '../../src/core/json-print.ts';
import { type Prepared, Unsupported } from '../../src/providers/adapter.ts';
import { cacheKey, cacheKeyOfLarge } from '../../src/replay/cache-key.ts';
import { wantedOf, wantedOfLarge } from '../../src/replay/claims.ts';
import { Seal } from '../../src/replay/seal.ts';
import { printLarge } from '../../src/upstream/print-large.ts';
import { FINISH, ROLE, startRig, text } from '../support/rig.ts';
import { turnsDuring } from '../support/turns.ts';
import { stream } from '../support/upstream.ts';

const MB = 1024 * 1024;
const TEXT = 'word '.repeat((2 * MB) / 5);
const MESSAGES = [{ role: 'user', content: TEXT }];

describe('a body that is looked over ahead', () => {
  const asked = `{"model":"m","a\\u0062":[1,{"c":"\\"}"}],"text":"${TEXT}"}`;
  for (const [name, json] of Object.entries({
    'as it is': asked,
    'with a byte order mark': `\uFEFF${asked}`,
  })) {
    it(`is read as it would have been otherwise: ${name}`, () => {
      const bytes = Buffer.from(json);
      lookOverAhead(bytes);
      const body = JsonBody.parse(bytes);
      const once = JsonBody.parse(Buffer.from(json));
      assert.deepEqual(body.value, once.value);
      const changes = new Map([['model', 'up']]);
      assert.deepEqual(Buffer.concat(body.with(changes)), Buffer.concat(once.with(changes)));
      assert.equal(body.textOf('ab'), once.textOf('ab'));
    });
  }

  it('may be parsed again, when nothing is remembered of it', () => {
    const bytes = Buffer.from(asked);
    lookOverAhead(bytes);
    assert.deepEqual(JsonBody.parse(bytes).value, JsonBody.parse(bytes).value);
  });

  it('is refused for what it would be refused for', () => {
    assert.throws(() => lookOverAhead(Buffer.from([0x7b, 0xff, 0x7d])), SyntaxError);
    assert.throws(() => lookOverAhead(Buffer.from('['.repeat(600))), RangeError);
  });
});

describe('a body that was let go of', () => {
  it('has nothing in it any more', () => {
    const body = JsonBody.parse(Buffer.from(`{"text":"${TEXT}"}`));
    body.letGo();
    assert.deepEqual(body.value, {});
    assert.equal(body.textOf('text'), null);
    assert.equal(Buffer.concat(body.with(new Map([['a', 1]]))).toString(), '{"a":1}');
  });
});

describe('what is wrong with a large body', () => {
  const WRONG: Record<string, [body: string | Buffer, code: string, message: RegExp]> = {
    'it breaks off': [`{"model":"m","messages":${JSON.stringify(MESSAGES)}`, 'invalid_json', /./],
    'it is not UTF-8': [Buffer.from(`{"model":"m","x":"${TEXT}\xff"}`, 'latin1'), 'invalid_json', /UTF-8/],
    'it holds too many values': [`{"model":"m","x":[${'1,'.repeat(MB)}1]}`, 'invalid_json', /500000 values/],
    'it has no messages': [`{"model":"m","x":"${TEXT}"}`, 'missing_required_parameter', /messages/],
  };
  for (const [name, [body, code, message]] of Object.entries(WRONG)) {
    it(`is said as of any other: ${name}`, async (t) => {
      const rig = await startRig(t);
      const response = await fetch(`${rig.gateway.url}/chat/completions`, { method: 'POST', body });
      const { error } = (await response.json()) as { error: { code: string; message: string } };
      assert.equal(response.status, 400);
      assert.equal(error.code, code);
      assert.match(error.message, message);
      assert.equal(rig.upstream.requests.length, 0);
      await rig.nothingLeft();
    });
  }
});

describe('a large body', () => {
  it('is streamed an answer like any other', async (t) => {
    const rig = await startRig(t);
    const reader = await rig.stream({ messages: MESSAGES });
    assert.match(await reader.rest(), /\[DONE\]\n\n$/);
    assert.deepEqual(rig.upstream.requests[0]?.json()['messages'], MESSAGES);
    assert.equal((await rig.line()).outcome, 'ok');
    await rig.nothingLeft();
  });

  it('is estimated where the upstream says nothing of tokens, after its answer as well', async (t) => {
    const rig = await startRig(t);
    rig.upstream.enqueue(stream([ROLE, text('a'), FINISH]));
    const reader = await rig.stream({ messages: MESSAGES });
    await reader.rest();
    const { tokens } = (await rig.line()) as unknown as { tokens: { input: number; estimated?: boolean } };
    assert.equal(tokens.estimated, true);
    assert.ok(tokens.input > 100_000, `${tokens.input} tokens`);
  });
});

describe('a large body in the words of another provider', () => {
  for (const provider of [
    { adapter: 'anthropic' },
    { adapter: 'gemini' },
    { adapter: 'bedrock', region: 'us-east-1' },
  ]) {
    it(`is sent whole: ${provider.adapter}`, async (t) => {
      const rig = await startRig(t, { provider });
      // Half of it without escapes, half with them.
      const asked = [TEXT, 'a "line"\n🙂 '.repeat(100_000)];
      const messages = asked.map((content, index) => ({
        role: index === 0 ? 'system' : 'user',
        content,
      }));
      await (await rig.gateway.chat({ messages })).text();
      const sent = JSON.stringify(rig.upstream.requests[0]?.json());
      for (const text of asked) assert.ok(sent.includes(JSON.stringify(text.trimEnd()).slice(1, -1)));
      await rig.nothingLeft();
    });
  }

  it('is not printed for a client that has left', async () => {
    const cancellation = new Cancellation();
    const printing = new Printing({ text: TEXT });
    const prepared = { body: printing.parts, printing } as unknown as Prepared;
    const printed = printLarge({ prepared }, cancellation);
    cancellation.cancel('client_gone');
    await assert.rejects(printed, Unsupported);
    assert.equal(printing.parts.length, 0);
  });
});

describe('what a large body is known by', () => {
  it('is what it would be in one step', async () => {
    const body = JsonBody.parse(Buffer.from(JSON.stringify({ model: 'm', messages: MESSAGES, n: [1, 2.5] })));
    const headers = ['a', 'b'];
    const parts = {
      scope: 's',
      dialect: 'chat',
      model: 'm',
      node: '',
      targets: 't',
      streaming: true,
      headers,
    };
    assert.equal(await cacheKeyOfLarge(parts, body), cacheKey(parts, body));
    const seal = new Seal('secret');
    const what = ['chat', body.bytes];
    assert.deepEqual(await wantedOfLarge(seal, 'acme', 'key', what), wantedOf(seal, 'acme', 'key', what));
  });

  it('lets others have their turn meanwhile', async () => {
    const turns = await turnsDuring(() =>
      wantedOfLarge(new Seal(null), 'acme', 'key', [Buffer.alloc(8 * MB)]),
    );
    assert.ok(turns >= 7, `${turns} turns`);
  });
});
