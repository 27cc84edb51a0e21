import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import OpenAI, { APIError } from 'openai';
import { delta, FINISH, type Rig, ROLE, startRig, text, usage } from '../support/rig.ts';
import { close, reset, type Script, stream } from '../support/upstream.ts';

function client({ gateway }: Rig): OpenAI {
  return new OpenAI({ baseURL: gateway.url, apiKey: 'anything', maxRetries: 0 });
}

const MESSAGES = [{ role: 'user' as const, content: 'hello' }];

/** Reads a stream as an application does: the text that came, and the error that it threw. */
async function read(rig: Rig): Promise<{ content: string; error: unknown }> {
  const events = await client(rig).chat.completions.create({ model: 'm', messages: MESSAGES, stream: true });
  let content = '';
  try {
    for await (const event of events) content += event.choices[0]?.delta.content ?? '';
    return { content, error: null };
  } catch (error) {
    return { content, error };
  }
}

describe("the official SDK's view of a stream", () => {
  const broken: Record<string, Script> = {
    'is cut': stream([ROLE, text('Hello'), close()]),
    'is reset': stream([ROLE, text('Hello'), reset()]),
    'ends without a finish': stream([ROLE, text('Hello')], { done: false }),
    'says [DONE] without a finish': stream([ROLE, text('Hello')]),
    'brings an error event': stream([ROLE, text('Hello'), { error: { message: 'no' } }]),
    'brings an event called error': stream([ROLE, text('Hello'), 'event: error\ndata: {"message":"no"}']),
  };
  for (const [name, how] of Object.entries(broken)) {
    it(`throws where it ${name}, after all that came`, async (t) => {
      const rig = await startRig(t);
      rig.upstream.enqueue(how);
      const { content, error } = await read(rig);
      assert.equal(content, 'Hello');
      assert.ok(error instanceof APIError, String(error));
      assert.equal(error.code, 'stream_interrupted');
      assert.equal(error.type, 'server_error');
      assert.equal(error.status, undefined);
    });
  }

  it('throws from its accumulating helper too', async (t) => {
    const rig = await startRig(t);
    rig.upstream.enqueue(stream([ROLE, text('Hello'), close()]));
    const helper = client(rig).chat.completions.stream({ model: 'm', messages: MESSAGES });
    await assert.rejects(
      helper.finalChatCompletion(),
      (error: APIError) => error.code === 'stream_interrupted',
    );
  });

  it('is whole where the stream is', async (t) => {
    const rig = await startRig(t);
    rig.upstream.enqueue(stream([ROLE, text('Hello'), text(' world'), FINISH]));
    assert.deepEqual(await read(rig), { content: 'Hello world', error: null });
  });

  it('is whole where only the end mark is missing', async (t) => {
    const rig = await startRig(t);
    rig.upstream.enqueue(stream([ROLE, text('Hello'), FINISH, close()]));
    assert.deepEqual(await read(rig), { content: 'Hello', error: null });
  });

  it('is whole where events come with CRLF, names, ids and retry times', async (t) => {
    const rig = await startRig(t);
    const odd = (event: object) => `id: 7\nretry: 10\nevent: message\ndata: ${JSON.stringify(event)}`;
    rig.upstream.enqueue(
      stream([': hello', 'retry: 5', 'id: 1', odd(ROLE), odd(text('Hello')), odd(FINISH)], {
        lineEnd: '\r\n',
      }),
    );
    assert.deepEqual(await read(rig), { content: 'Hello', error: null });
  });

  it('has usage and tool calls put together', async (t) => {
    const rig = await startRig(t);
    const call = (fields: object) => delta({ tool_calls: [{ index: 0, ...fields }] });
    rig.upstream.enqueue(
      stream([
        ROLE,
        call({ id: 'call_1', type: 'function', function: { name: 'weather', arguments: '' } }),
        call({ function: { arguments: '{"city":' } }),
        call({ function: { arguments: '"Paris"}' } }),
        delta({}, 'tool_calls'),
        usage(20, 7),
      ]),
    );
    const completion = await client(rig)
      .chat.completions.stream({ model: 'm', messages: MESSAGES, stream_options: { include_usage: true } })
      .finalChatCompletion();
    const [made] = completion.choices[0]?.message.tool_calls ?? [];
    assert.ok(made?.type === 'function');
    assert.deepEqual(made.function, { name: 'weather', arguments: '{"city":"Paris"}' });
    assert.equal(completion.usage?.total_tokens, 27);
  });

  it('is that of an error answer where it breaks before the first content', async (t) => {
    const rig = await startRig(t);
    rig.upstream.enqueue(stream([ROLE, close()]));
    await assert.rejects(
      client(rig).chat.completions.create({ model: 'm', messages: MESSAGES, stream: true }),
      (error: APIError) => error.status === 502 && error.code === 'upstream_error',
    );
  });

  it('is one try where the answer says that another would not help', async (t) => {
    const rig = await startRig(t);
    rig.upstream.reply(() => stream([ROLE, close()]));
    const patient = new OpenAI({ baseURL: rig.gateway.url, apiKey: 'anything', maxRetries: 2 });
    await assert.rejects(patient.chat.completions.create({ model: 'm', messages: MESSAGES, stream: true }));
    assert.equal(rig.upstream.requests.length, 1);
  });
});
