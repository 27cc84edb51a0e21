import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bodyOf, CLIENTS, eventsOf, post, readStream } from '../native/clients.ts';
import { delta, ROLE, readEvents, text } from '../support/rig.ts';
import { chatStream, close, stream } from '../support/upstream.ts';
import { restAfter, startPair, TOKENS, WHOLE, whole } from './kit.ts';

const think = (thought: string) => delta({ reasoning_content: thought });

describe('an answer with thoughts', () => {
  const THOUGHTS = { reasoning: ['Let', ' me', ' think'] };

  for (const client of CLIENTS) {
    it(`that broke in a thought, is gone on with without another one: ${client}`, async (t) => {
      // Where a prefill would be possible there is no text to be given.
      const pair = await startPair(t, { targets: [{}, { prefill: true }] });
      pair.upstreams[0].enqueue(stream([ROLE, think('Hm'), think(', so'), close()]));
      pair.upstreams[1].enqueue(whole(THOUGHTS));
      const response = await post(
        pair.gateway,
        client,
        bodyOf(client, 'm', { stream: true, ...SHOWN[client] }),
      );
      const had = readStream(client, eventsOf(await response.text()));
      assert.equal(had.reasoning, 'Hm, so');
      assert.equal(had.text, WHOLE);
      assert.equal(had.end, 'finish');
      assert.equal(pair.upstreams[1].requests[0]?.json<{ messages: object[] }>().messages.length, 1);
    });

    for (const how of ['again', 'prefill'] as const) {
      it(`that broke in its text, is gone on with without another thought, ${how}: ${client}`, async (t) => {
        const pair = await startPair(t, { targets: [{}, { prefill: how === 'prefill' }] });
        pair.upstreams[0].enqueue(
          stream([ROLE, think('Hm'), ...TOKENS.slice(0, 8).map((one) => text(one)), close()]),
        );
        pair.upstreams[1].enqueue(how === 'prefill' ? restAfter(8, THOUGHTS) : whole(THOUGHTS));
        const response = await post(
          pair.gateway,
          client,
          bodyOf(client, 'm', { stream: true, ...SHOWN[client] }),
        );
        const had = readStream(client, eventsOf(await response.text()));
        assert.equal(had.reasoning, 'Hm');
        assert.equal(had.text, WHOLE);
        assert.equal(had.end, 'finish');
      });
    }
  }

  it('brings the calls that it ends in, with what they must be handed back', async (t) => {
    const pair = await startPair(t);
    pair.upstreams[0].enqueue(stream([ROLE, think('Hm'), text('I will '), close()]));
    const signed = [{ index: 0, type: 'thinking', thinking: 'So', signature: 'c2ln' }];
    const call = { index: 0, id: 'c1', type: 'function', function: { name: 'f', arguments: '{}' } };
    pair.upstreams[1].enqueue(
      stream([
        ROLE,
        think('So'),
        text('I will look.'),
        delta({ tool_calls: [call] }),
        delta({ thinking_blocks: signed }),
        delta({}, 'tool_calls'),
      ]),
    );
    const { chunks, content, error } = readEvents(await pair.ask());
    assert.equal(error, null);
    assert.equal(content, 'I will look.');
    const deltas = chunks.flatMap(({ choices }) => choices.map((choice) => choice.delta));
    assert.deepEqual(
      deltas.filter(({ tool_calls: calls }) => calls !== undefined),
      [{ tool_calls: [call] }],
    );
    assert.deepEqual(
      deltas.filter(({ thinking_blocks: blocks }) => blocks !== undefined),
      [{ thinking_blocks: signed }],
    );
    assert.deepEqual(
      deltas.flatMap(({ reasoning_content: thought }) => thought ?? []),
      ['Hm'],
    );
  });

  it('counts the thoughts that were told, of which who goes on knows nothing', async (t) => {
    const pair = await startPair(t);
    const long = 'so it is, then '.repeat(40);
    pair.upstreams[0].enqueue(
      stream([ROLE, think(long), ...TOKENS.slice(0, 8).map((one) => text(one)), close()]),
    );
    pair.upstreams[1].enqueue(whole());
    const { chunks } = readEvents(await pair.ask({ stream_options: { include_usage: true } }));
    assert.ok((chunks.at(-1)?.usage?.completion_tokens ?? 0) > 100 + 12);
  });

  it('counts what was thought for nobody to nobody', async (t) => {
    const pair = await startPair(t);
    pair.upstreams[0].enqueue(stream([ROLE, ...TOKENS.slice(0, 8).map((one) => text(one)), close()]));
    const usage = {
      prompt_tokens: 9,
      completion_tokens: 120,
      completion_tokens_details: { reasoning_tokens: 100 },
    };
    pair.upstreams[1].enqueue(whole({ ...THOUGHTS, usage }));
    const { chunks } = readEvents(await pair.ask({ stream_options: { include_usage: true } }));
    assert.equal(chunks.at(-1)?.usage?.completion_tokens, 20);
  });
});

/** What shows thoughts to clients of that dialect. */
const SHOWN = {
  chat: {},
  messages: { max_tokens: 5000, thinking: { type: 'enabled', budget_tokens: 2000 } },
  responses: {},
} as const;

describe('what belongs to the text', () => {
  const tokens = (...all: string[]) => ({
    content: all.map((token) => ({ token, logprob: -1, bytes: null, top_logprobs: [] })),
  });
  const piece = (content: string, ...all: string[]) => {
    const chunk = text(content) as { choices: { logprobs: unknown }[] };
    (chunk.choices[0] as { logprobs: unknown }).logprobs = tokens(...all);
    return chunk;
  };
  const tokensIn = (chunks: ReturnType<typeof readEvents>['chunks']) => {
    const told = chunks.flatMap(({ choices }) => choices) as unknown as {
      logprobs: { content: { token: string }[] } | null;
    }[];
    return told.flatMap(({ logprobs }) => logprobs?.content.map(({ token }) => token) ?? []);
  };

  it('is gone on with as well: how likely its tokens were', async (t) => {
    const pair = await startPair(t);
    pair.upstreams[0].enqueue(stream([ROLE, piece('It was', 'It', ' was'), close()]));
    pair.upstreams[1].enqueue(
      stream([
        ROLE,
        piece('It', 'It'),
        piece(' was a dark', ' was', ' a', ' dark'),
        piece('.', '.'),
        delta({}, 'stop'),
      ]),
    );
    const { chunks } = readEvents(await pair.ask({ logprobs: true }));
    assert.deepEqual(tokensIn(chunks), ['It', ' was', ' a', ' dark', '.']);
  });

  const BEGUN = 'It was a dark and stormy night.';
  const BEGINNING = [piece('It', 'It'), piece(' was', ' was')];
  const ANSWERS: Record<string, { events: object[]; told: string[] }> = {
    'that only looked like an echo': {
      events: [...BEGINNING, piece(' wet.', ' wet', '.'), piece(' So', ' So'), delta({}, 'stop')],
      told: ['It', ' was', ' wet', '.', ' So'],
    },
    'that ended where it looked like an echo': {
      events: [...BEGINNING, delta({}, 'stop')],
      told: ['It', ' was'],
    },
    'whose finish came with the last of what looked like an echo': {
      events: [
        piece('It', 'It'),
        {
          choices: [
            { index: 0, delta: { content: ' was' }, logprobs: tokens(' was'), finish_reason: 'stop' },
          ],
        },
      ],
      told: ['It', ' was'],
    },
    'behind an echo': {
      events: [...BEGINNING, piece(`${BEGUN.slice(6)} So`, BEGUN.slice(6), ' So'), delta({}, 'stop')],
      told: [' So'],
    },
  };
  for (const [name, { events, told }] of Object.entries(ANSWERS)) {
    it(`comes after a prefill as well: how likely the tokens of a text were ${name}`, async (t) => {
      const pair = await startPair(t, { targets: [{}, { prefill: true }] });
      pair.upstreams[0].enqueue(stream([ROLE, piece(BEGUN, BEGUN), close()]));
      pair.upstreams[1].enqueue(stream([ROLE, ...events]));
      const { chunks, content } = readEvents(await pair.ask({ logprobs: true }));
      assert.equal(content, BEGUN + told.join(''));
      assert.deepEqual(tokensIn(chunks), [BEGUN, ...told]);
    });
  }

  it('is gone on with as well: citations, where they are', async (t) => {
    for (const prefill of [true, false]) {
      const pair = await startPair(t, { targets: [{}, { prefill }] });
      pair.upstreams[0].enqueue(stream([ROLE, text('Rome is warm. '), close()]));
      const cited = (start: number, end: number) =>
        delta({
          annotations: [
            {
              type: 'url_citation',
              url_citation: { url: 'https://x', title: 'x', start_index: start, end_index: end },
            },
          ],
        });
      const rest = prefill ? ' Paris is not.' : 'Rome is warm. Paris is not.';
      const at = prefill ? 1 : 14;
      pair.upstreams[1].enqueue(stream([ROLE, text(rest), cited(at, at + 5), delta({}, 'stop')]));
      const { chunks, content } = readEvents(await pair.ask());
      const [annotation] = chunks.flatMap(({ choices }) =>
        choices.flatMap(
          (choice) =>
            (choice.delta['annotations'] ?? []) as {
              url_citation: { start_index: number; end_index: number };
            }[],
        ),
      );
      assert.ok(annotation);
      const { start_index: start, end_index: end } = annotation.url_citation;
      assert.equal(content.slice(start, end), 'Paris');
    }
  });

  it('is told as one, whatever the second host makes of a chunk', async (t) => {
    const pair = await startPair(t);
    pair.upstreams[0].enqueue(
      chatStream({ content: ['It was', close()], id: 'chatcmpl-first', model: 'first' }),
    );
    const odd = {
      id: 'gen-2',
      object: 'x',
      created: 5,
      model: 'second',
      system_fingerprint: 'fp',
      service_tier: 'flex',
      provider: 'P',
      x_groq: { id: 'r' },
    };
    const choice = (delta: object, finish: string | null = null) => ({
      ...odd,
      choices: [{ index: 0, delta, finish_reason: finish, logprobs: null }],
    });
    pair.upstreams[1].enqueue(
      stream([
        choice({ role: 'assistant', content: 'It' }),
        choice({ role: 'assistant', content: ' was a' }),
        choice({ content: '' }),
        { ...choice({ content: ' day' }), usage: { prompt_tokens: 1, completion_tokens: 1 } },
        { ...choice({}, 'stop'), usage: { prompt_tokens: 9, completion_tokens: 4 } },
      ]),
    );
    const { chunks, content, done } = readEvents(await pair.ask());
    assert.equal(content, 'It was a day');
    assert.equal(done, true);
    for (const chunk of chunks as unknown as Record<string, unknown>[]) {
      assert.equal(chunk['id'], 'chatcmpl-first');
      assert.equal(chunk['object'], 'chat.completion.chunk');
      assert.equal(chunk['created'], 1_795_219_200);
      assert.equal(chunk['model'], 'first');
      for (const name of ['system_fingerprint', 'service_tier', 'x_groq'])
        assert.equal(chunk[name], undefined);
      assert.equal(chunk['usage'] ?? null, null);
    }
  });
});
