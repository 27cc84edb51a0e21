import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import OpenAI from 'openai';
import { chatStream, silence } from '../support/upstream.ts';
import { says, throughAimock, throughStandIn } from './through.ts';

describe('the official SDK', () => {
  it('has the id of its request with what it parsed, and it is that of the log', async (t) => {
    const { client, gateway } = await throughAimock(t);
    const completion = await client.chat.completions.create({ model: 'm', messages: says('hello') });
    const model = await client.models.retrieve('m');
    assert.match(model._request_id ?? '', /./);
    const [line] = await gateway.ended(1);
    assert.equal(completion._request_id, line?.id);
  });

  it('runs tools, and asks again with what they said', async (t) => {
    const { client, gateway } = await throughAimock(t);
    const cities: string[] = [];
    const runner = client.chat.completions.runTools({
      model: 'm',
      messages: says('How is the weather in Paris?'),
      tools: [
        {
          type: 'function',
          function: {
            name: 'get_weather',
            description: 'The weather in a city',
            parameters: { type: 'object' },
            parse: (text: string) => JSON.parse(text) as { city: string },
            function: ({ city }: { city: string }) => {
              cities.push(city);
              return '21 degrees';
            },
          },
        },
      ],
    });
    assert.equal(await runner.finalContent(), 'It is 21 degrees in Paris.');
    assert.deepEqual(cities, ['Paris']);
    assert.equal((await gateway.ended(2)).length, 2);
  });

  it('ends a stream upstream by leaving its loop', async (t) => {
    const { client, upstream, gateway } = await throughStandIn(t);
    upstream.enqueue(chatStream({ content: ['Hel', silence(), 'lo'] }));
    const stream = await client.chat.completions.create({
      model: 'm',
      messages: says('hello'),
      stream: true,
    });
    const request = await upstream.nextRequest();
    for await (const { choices } of stream) if (choices[0]?.delta.content === 'Hel') break;
    await request.closed;
    assert.ok(request.aborted);
    const [line] = await gateway.ended(1);
    assert.deepEqual([line?.status, line?.outcome], [200, 'client_gone']);
  });

  it('whose own time is over ends the request upstream, and tries no more than it was told to', async (t) => {
    const { upstream, gateway } = await throughStandIn(t);
    upstream.reply(() => silence());
    const client = new OpenAI({ baseURL: gateway.url, apiKey: 'anything', timeout: 50, maxRetries: 1 });
    await assert.rejects(
      client.chat.completions.create({ model: 'm', messages: says('hello') }),
      OpenAI.APIConnectionTimeoutError,
    );
    const lines = await gateway.ended(2);
    assert.deepEqual(
      lines.map(({ status, outcome }) => [status, outcome]),
      [
        [499, 'client_gone'],
        [499, 'client_gone'],
      ],
    );
    for (const request of upstream.requests) await request.closed;
    assert.equal(upstream.requests.length, 2);
  });
});
