import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { type Rig, type RigOptions, startRig } from '../support/rig.ts';

/** Sends these bytes, and returns what went upstream. */
async function relay(t: TestContext, body: string | Buffer, options: RigOptions = {}): Promise<string> {
  const rig = await startRig(t, options);
  const response = await post(rig, body);
  assert.equal(response.status, 200, await response.text());
  return rig.upstream.requests[0]?.body.toString() ?? '';
}

async function post(rig: Rig, body: string | Buffer): Promise<Response> {
  const headers = { 'content-type': 'application/json' };
  return fetch(`${rig.gateway.url}/chat/completions`, { method: 'POST', headers, body });
}

const MESSAGES = '"messages":[{"role":"user","content":"hello"}]';
/** What the model `m` becomes upstream. */
const UP = '"model":"up"';

/** Members that are none of our business, as a client may write them. */
const UNTOUCHED: Record<string, string> = {
  'a number too large for a double': '"n1":1e400',
  'a whole number too large to be exact': '"n2":12345678901234567890',
  'a number with a zero at its end': '"temperature":1.10',
  'numbers of all kinds': '"x":[-0,0.0,1E+2,1e-400,1.7976931348623157e308]',
  'a field that nobody knows': '"my_field":{"a":[null,true,false]}',
  'spaces and line ends': '"x" :\r\n\t [ 1 ,\n 2 ]',
  tools: `"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"a":{"type":"integer","minimum":1.0}},"$defs":{}}}}],"tool_choice":"auto"`,
  'a response format':
    '"response_format":{"type":"json_schema","json_schema":{"name":"s","strict":true,"schema":{}}}',
  'text beyond ASCII': '"user":"Grüße, 世界 🙂 \u2028"',
  escapes: '"user":"\\u00fc\\ud83d\\ude42 \\/ \\" \\\\ \\n \\u0000"',
  'half of a pair': '"user":"\\ud800"',
  'brackets and quotes in text': '"user":"}]{[\\"model\\":\\"x\\",\\\\"',
  'an empty key': '"":1',
  'the names of what every object has':
    '"__proto__":{"model":"x"},"constructor":1,"toString":2,"hasOwnProperty":3',
  'the same key twice, deeper down': '"metadata":{"a":1,"a":2}',
  'keys that only look alike': '"Model":"x","model ":"y","MODEL":"z"',
};

describe('the body of a request', () => {
  for (const [name, member] of Object.entries(UNTOUCHED)) {
    it(`keeps ${name} byte for byte, wherever the model stands`, async (t) => {
      assert.equal(await relay(t, `{"model":"m",${MESSAGES},${member}}`), `{${UP},${MESSAGES},${member}}`);
      assert.equal(await relay(t, `{${member},"model":"m",${MESSAGES}}`), `{${member},${UP},${MESSAGES}}`);
      assert.equal(await relay(t, `{${MESSAGES},${member},"model":"m"}`), `{${MESSAGES},${member},${UP}}`);
    });
  }

  it('is the same bytes where nothing changes', async (t) => {
    const body = ` {\n "messages" : [ { "role":"user", "content":"hi"} ] , "model":"same" }\r\n`;
    const rig = await startRig(t, { model: 'm' });
    const same = body.replace('same', 'm');
    assert.equal((await post(rig, same)).status, 200);
    assert.equal(rig.upstream.requests[0]?.body.toString(), same);
  });

  it('keeps the content of messages of every kind', async (t) => {
    const messages = `"messages":[
      {"role":"developer","content":"be brief","name":"x"},
      {"role":"user","content":[{"type":"text","text":"what is this?"},{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo=","detail":"high"}},{"type":"input_audio","input_audio":{"data":"UklGRg==","format":"wav"}},{"type":"file","file":{"file_id":"f-1"}}]},
      {"role":"assistant","content":null,"refusal":null,"reasoning_content":"hm","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\\"a\\":1}"}}]},
      {"role":"tool","tool_call_id":"c1","content":"21.50"},
      {"role":"assistant","content":"par","prefix":true}
    ]`;
    assert.equal(await relay(t, `{"model":"m",${messages}}`), `{${UP},${messages}}`);
  });

  it('keeps everything of a stream but the wish for usage', async (t) => {
    const sent = `{"model":"m",${MESSAGES},"stream":true,"x":1.10}`;
    const expected = `{${UP},${MESSAGES},"stream":true,"x":1.10,"stream_options":{"include_usage":true}}`;
    assert.equal(await relay(t, sent), expected);
  });

  it('is the same bytes for a stream that asks for usage', async (t) => {
    const sent = `{"model":"m",${MESSAGES},"stream":true,"stream_options":{"include_usage":true,"x":1.10}}`;
    assert.equal(await relay(t, sent, { model: 'm' }), sent);
  });

  it('loses a byte order mark', async (t) => {
    const body = `{"model":"m",${MESSAGES}}`;
    assert.equal(await relay(t, `\uFEFF${body}`), `{${UP},${MESSAGES}}`);
    assert.equal(await relay(t, `\uFEFF${body}`, { model: 'm' }), body);
  });

  for (const key of ['mod\\u0065l', '\\u006dodel', '\\u006d\\u006f\\u0064\\u0065\\u006c']) {
    it(`has its model found under "${key}"`, async (t) => {
      assert.equal(await relay(t, `{"${key}":"m",${MESSAGES}}`), `{${UP},${MESSAGES}}`);
    });
  }

  it('has its model found though the name is written with escapes', async (t) => {
    assert.equal(await relay(t, `{"model":"\\u006d",${MESSAGES}}`), `{${UP},${MESSAGES}}`);
  });

  it('is sent with its length, not in chunks', async (t) => {
    const rig = await startRig(t);
    await post(rig, `{"model":"m",${MESSAGES}}`);
    const [request] = rig.upstream.requests;
    assert.equal(request?.headers['content-length'], String(request?.body.length));
    assert.equal(request?.headers['transfer-encoding'], undefined);
    assert.equal(request?.headers['content-type'], 'application/json');
  });

  it('is the same for every try', async (t) => {
    const rig = await startRig(t, {
      second: true,
      node: { override_params: { temperature: 0, user: null } },
    });
    rig.upstream.enqueue([(exchange) => exchange.end('reset')]);
    const sent = `{"model":"m",${MESSAGES},"user":"u","temperature":1.10}`;
    assert.equal((await post(rig, sent)).status, 200);
    assert.equal(rig.upstream.requests[0]?.body.toString(), `{${UP},${MESSAGES},"temperature":0}`);
    assert.equal(
      rig.second.requests[0]?.body.toString(),
      `{${UP},${MESSAGES},"user":"u","temperature":1.10}`,
      'nothing of what the first one was sent',
    );
  });
});
