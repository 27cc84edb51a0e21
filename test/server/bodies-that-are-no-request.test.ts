import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { chatBody, refusalOf, serve, shortRefusalOf } from './helpers.ts';

const { gateway, upstream } = await serve({ after });

function post(body: string | Uint8Array | null): Promise<Response> {
  return fetch(`${gateway.url}/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: body as string | null,
  });
}

const invalid = { status: 400, type: 'invalid_request_error' };

describe('a body that is no JSON object', () => {
  const bodies: Record<string, string | Uint8Array | null> = {
    'is missing': null,
    'is empty': '',
    'is only spaces': '  \n ',
    'is a word': 'hello',
    'is cut off': chatBody().slice(0, -1),
    'goes on after its end': `${chatBody()}{}`,
    'is a form': 'model=m&messages=hello',
    'has a trailing comma': '{"model":"m","messages":[{}],}',
    'has a comment': '{"model":"m", /* the model */ "messages":[{}]}',
    'has single quotes': "{'model':'m'}",
    'has a number that is none': '{"model":"m","messages":[{}],"n":NaN}',
    'has a raw line break in a string': '{"model":"m\n","messages":[{}]}',
    'is UTF-16': Buffer.from(chatBody(), 'utf16le'),
    'is not UTF-8': Buffer.concat([
      Buffer.from('{"model":"m","messages":[{"role":"user","content":"'),
      Buffer.from([0xc3, 0x28, 0xff]),
      Buffer.from('"}]}'),
    ]),
    'holds half a surrogate as bytes': Buffer.concat([
      Buffer.from('{"model":"m","messages":[{"content":"'),
      Buffer.from([0xed, 0xa0, 0x80]),
      Buffer.from('"}]}'),
    ]),
  };
  for (const [how, body] of Object.entries(bodies)) {
    it(`is refused where it ${how}`, async () => {
      assert.deepEqual(await shortRefusalOf(await post(body)), {
        ...invalid,
        code: 'invalid_json',
        param: null,
      });
    });
  }

  for (const body of ['[]', '[{"model":"m"}]', '"model"', '5', 'true', 'null']) {
    it(`is refused where it is ${body}`, async () => {
      assert.deepEqual(await shortRefusalOf(await post(body)), {
        ...invalid,
        code: 'invalid_value',
        param: null,
      });
    });
  }
});

describe('a body whose fields are wrong', () => {
  const missing = { ...invalid, code: 'missing_required_parameter' };
  const wrong = { ...invalid, code: 'invalid_value' };
  const cases: [what: string, changes: object, expected: object][] = [
    ['no model', { model: undefined }, { ...missing, param: 'model' }],
    ['a number as its model', { model: 5 }, { ...wrong, param: 'model' }],
    ['null as its model', { model: null }, { ...wrong, param: 'model' }],
    ['an empty model', { model: '' }, { ...wrong, param: 'model' }],
    ['a list as its model', { model: ['m'] }, { ...wrong, param: 'model' }],
    ['no messages', { messages: undefined }, { ...missing, param: 'messages' }],
    ['an object as its messages', { messages: {} }, { ...wrong, param: 'messages' }],
    ['a text as its messages', { messages: 'hello' }, { ...wrong, param: 'messages' }],
    ['null as its messages', { messages: null }, { ...wrong, param: 'messages' }],
    ['an empty list of messages', { messages: [] }, { ...wrong, param: 'messages' }],
    ['a message that is a text', { messages: [{}, 'hello'] }, { ...wrong, param: 'messages[1]' }],
    ['a message that is null', { messages: [null] }, { ...wrong, param: 'messages[0]' }],
    ['a message that is a list', { messages: [[]] }, { ...wrong, param: 'messages[0]' }],
    ['a text as stream', { stream: 'yes' }, { ...wrong, param: 'stream' }],
    ['a number as stream', { stream: 1 }, { ...wrong, param: 'stream' }],
    ['a text as stream_options', { stream_options: 'usage' }, { ...wrong, param: 'stream_options' }],
    ['a list as stream_options', { stream_options: [] }, { ...wrong, param: 'stream_options' }],
  ];
  for (const [what, changes, expected] of cases) {
    it(`is refused where it has ${what}, and the error names the field`, async () => {
      const { message, ...rest } = await refusalOf(await post(chatBody(changes)));
      assert.deepEqual(rest, expected);
      assert.ok(message.includes(`'${rest.param}'`), message);
    });
  }
});

describe('a body that would cost more than it says', () => {
  const nested = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`;

  for (const levels of [600, 100_000, 4_000_000]) {
    it(`is refused where it is nested ${levels} levels deep`, async () => {
      const response = await post(`{"model":"m","messages":[{"role":"user","content":${nested(levels)}}]}`);
      const { message, ...rest } = await refusalOf(response);
      assert.deepEqual(rest, { ...invalid, code: 'invalid_json', param: null });
      assert.match(message, /nested deeper than 512 levels/);
    });
  }

  it('is refused where objects are nested too deeply', async () => {
    const deep = `${'{"a":'.repeat(1000)}1${'}'.repeat(1000)}`;
    const response = await post(`{"model":"m","messages":[{}],"x":${deep}}`);
    assert.equal((await refusalOf(response)).code, 'invalid_json');
  });

  it('is refused where it holds too many values', async () => {
    const response = await post(`{"model":"m","messages":[{}],"x":[${'[],'.repeat(400_000)}0]}`);
    const { message, code } = await refusalOf(response);
    assert.equal(code, 'invalid_json');
    assert.match(message, /more than 500000 values/);
  });

  it('is served where brackets and quotes stand inside of a text', async () => {
    const content = `${'['.repeat(5000)}${'\\"'.repeat(5000)}${'{"a":'.repeat(5000)}`;
    const before = upstream.requests.length;
    const response = await post(chatBody({ messages: [{ role: 'user', content }] }));
    assert.equal(response.status, 200);
    const sent = upstream.requests[before]?.json<{ messages: { content: string }[] }>();
    assert.equal(sent?.messages[0]?.content, content);
  });

  it('is served where it is nested no deeper than that', async () => {
    const response = await post(`{"model":"m","messages":[{"role":"user","content":${nested(500)}}]}`);
    assert.equal(response.status, 200);
  });
});

it('nothing of all this was sent upstream, or booked as a request of a model', async () => {
  assert.equal(upstream.requests.length, 2);
  const refused = gateway.requests.filter(({ status }) => status !== 200);
  assert.ok(refused.length > 40);
  for (const line of refused) {
    assert.equal(line.status, 400);
    assert.equal(line.outcome, 'refused');
    assert.deepEqual(line.tries, []);
  }
  const metrics = await gateway.metrics();
  const counted = metrics.split('\n').filter((line) => /^spillway_requests_total\{/.test(line));
  assert.deepEqual(
    counted.map((line) => line.slice(0, line.lastIndexOf(' '))),
    [
      'spillway_requests_total{tenant="anonymous",model="unknown",status="400"}',
      'spillway_requests_total{tenant="anonymous",model="m",status="200"}',
    ],
  );
});
