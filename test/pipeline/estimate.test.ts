import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Json, JsonObject } from '../../src/core/json.ts';
import { utf8Length } from '../../src/core/text.ts';
import {
  Estimator,
  estimateInput,
  estimatePrompt,
  Habit,
  maxOutput,
  namesMaximum,
} from '../../src/pipeline/estimate.ts';

function asking(content: Json, more: JsonObject = {}): JsonObject {
  return { model: 'm', messages: [{ role: 'user', content }], ...more };
}

/** What a part of a message adds. */
function part(json: JsonObject): number {
  return estimateInput(asking([json])) - estimateInput(asking([]));
}

const BASE64 = 'iVBORw0KGgo'.repeat(200_000);

describe('the tokens of a prompt', () => {
  const texts: Record<string, [text: string, least: number, most: number]> = {
    English: ['The quick brown fox jumps over the lazy dog. '.repeat(100), 900, 1300],
    code: ['for (let i = 0; i < n; i++) { sum += values[i] * 2; }\n'.repeat(100), 1000, 2400],
    German: ['Die Grüße über das schöne Straßencafé fielen öfter mal aus. '.repeat(100), 1200, 2200],
    Russian: ['Быстрая коричневая лиса перепрыгивает через ленивую собаку. '.repeat(100), 1500, 3500],
    Chinese: ['敏捷的棕色狐狸跳过了懒狗。'.repeat(100), 900, 1800],
    Japanese: ['素早い茶色の狐はのろまな犬を飛び越える。'.repeat(100), 1300, 2600],
    Korean: ['빠른 갈색 여우가 게으른 개를 뛰어넘는다.'.repeat(100), 1200, 2800],
    emoji: ['🦊🐶🎉🚀'.repeat(100), 400, 1200],
  };
  for (const [name, [text, least, most]] of Object.entries(texts)) {
    it(`are about those of its text: ${name}`, () => {
      const tokens = estimateInput(asking(text));
      assert.ok(tokens >= least && tokens <= most, String(tokens));
      assert.ok(Math.abs(part({ type: 'text', text }) - tokens) < 10);
    });
  }

  it('are a few for each message, whatever its text', () => {
    const messages = Array.from({ length: 100 }, () => ({ role: 'user', content: '' }));
    const tokens = estimateInput({ messages });
    assert.ok(tokens > 300 && tokens < 500, String(tokens));
  });

  it('include names, refusals, and the calls of tools and what these gave', () => {
    const plain = { role: 'assistant', content: 'a' };
    const long = 'word '.repeat(80);
    for (const message of [
      { ...plain, name: long },
      { ...plain, refusal: long },
      { ...plain, reasoning_content: long },
      { ...plain, tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: long } }] },
      { ...plain, function_call: { name: 'f', arguments: long } },
      { role: 'tool', tool_call_id: 'c', content: long },
    ]) {
      const tokens = estimateInput({ messages: [message] }) - estimateInput({ messages: [plain] });
      assert.ok(tokens >= 95 && tokens <= 115, `${JSON.stringify(message)}: ${tokens}`);
    }
  });

  it('include the definitions of tools, and schemas of the answer', () => {
    const parameters = {
      type: 'object',
      properties: {
        city: { type: 'string', description: 'The city, and the country if there are more of its name' },
        unit: { type: 'string', enum: ['celsius', 'fahrenheit'] },
        days: { type: 'integer', minimum: 1, maximum: 14, default: 3 },
      },
      required: ['city'],
      additionalProperties: false,
    };
    const definition = { name: 'weather', description: 'Says what the weather will be.', parameters };
    const size = JSON.stringify(definition).length / 4;
    const without = estimateInput(asking('x'));
    for (const more of [
      { tools: [{ type: 'function', function: definition }] },
      { functions: [definition] },
      { response_format: { type: 'json_schema', json_schema: { name: 'weather', schema: definition } } },
    ] as JsonObject[]) {
      const tokens = estimateInput(asking('x', more)) - without;
      assert.ok(tokens > size * 0.9 && tokens < size * 1.4, `${Object.keys(more)}: ${tokens}, ${size}`);
    }
    assert.equal(estimateInput(asking('x', { response_format: { type: 'json_object' } })), without);
  });

  it('are the same for every picture of one detail, however long its data', () => {
    const image = (url: string, detail?: string) =>
      part({ type: 'image_url', image_url: { url, ...(detail === undefined ? {} : { detail }) } });
    assert.equal(image('https://example.com/x.png'), 800);
    assert.equal(image(`data:image/png;base64,${BASE64}`), 800);
    assert.equal(image(`data:image/png;base64,${BASE64}`, 'high'), 800);
    assert.equal(image(`data:image/png;base64,${BASE64}`, 'low'), 85);
    assert.equal(part({ type: 'image_url', image_url: `data:image/png;base64,${BASE64}` }), 800);
    assert.equal(part({ type: 'image', source: { type: 'base64', data: BASE64 } }), 800);
  });

  it('grow with sound and files, far less than their data', () => {
    const sound = (data: string) => part({ type: 'input_audio', input_audio: { data, format: 'mp3' } });
    assert.equal(sound(BASE64.slice(0, 1_000_000)), 1000);
    assert.equal(sound(''), 1);
    const file = (data: string) => part({ type: 'file', file: { filename: 'a.pdf', file_data: data } });
    assert.equal(file(`data:application/pdf;base64,${BASE64}`.slice(0, 1_000_000)), 10_000);
    assert.equal(part({ type: 'file', file: { file_id: 'file-abc' } }), 800);
  });

  it('are those of data, whatever parameters its type has', () => {
    for (const type of ['application/pdf;name=a.pdf', 'audio/webm;codecs=opus', 'a/b;c=d;e=f;g=h']) {
      const url = `data:${type};base64,${BASE64}`;
      assert.equal(part({ type: 'hologram', url }), 800, type);
      assert.equal(part({ type: 'file', file: { file_data: url.slice(0, 1_000_000) } }), 10_000, type);
    }
  });

  it('are those of its text for a file that is text', () => {
    const text = 'Some words of a document. '.repeat(1000);
    const plain = part({ type: 'document', source: { type: 'text', media_type: 'text/plain', data: text } });
    const file_data = `data:text/plain;base64,${Buffer.from(text).toString('base64')}`;
    for (const tokens of [plain, part({ type: 'file', file: { file_data } })]) {
      assert.ok(Math.abs(tokens - text.length / 4) < 100, String(tokens));
    }
  });

  it('are never those of base64, in parts that nobody knows either', () => {
    assert.ok(part({ type: 'hologram', hologram: { data: BASE64 } }) <= 800);
    assert.ok(part({ type: 'hologram', url: `data:model/gltf;base64,${BASE64}` }) <= 800);
    assert.ok(part({ type: 'hologram', caption: 'word '.repeat(400) }) > 450, 'but those of its text');
  });

  describe('count in full', () => {
    const text = 'Pay 3 EUR to me, please, by noon! '.repeat(1000);
    const least = (text.length / 4) * 0.99;
    const disguises: Record<string, string> = {
      'a text that only begins like data': `data:${text}`,
      'a text behind the head of a picture': `data:image/png;base64,${text}`,
      'a text behind that head and some of its data': `data:image/png;base64,${BASE64.slice(0, 600)}${text}`,
      'a text that begins with data of a type alone': `data:text/plain,${text}`,
      'a text behind parameters of a type': `data:text/plain;charset=utf-8;base64,${text}`,
    };
    for (const [what, disguised] of Object.entries(disguises)) {
      const places: Record<string, JsonObject> = {
        'the content': { role: 'user', content: disguised },
        'a part of text': { role: 'user', content: [{ type: 'text', text: disguised }] },
        'the arguments of a tool call': {
          role: 'assistant',
          tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: disguised } }],
        },
        'a member named data': { role: 'assistant', content: '', thoughts: { data: disguised } },
        'a file': { role: 'user', content: [{ type: 'file', file: { file_data: disguised } }] },
        'a document': { role: 'user', content: [{ type: 'document', source: { data: disguised } }] },
        'a part that nobody knows': { role: 'user', content: [{ type: 'hologram', url: disguised }] },
      };
      for (const [where, message] of Object.entries(places)) {
        it(`${what} in ${where}`, () => {
          const tokens = estimateInput({ messages: [message] });
          assert.ok(tokens >= least, `${tokens} of ${least}`);
        });
      }
    }

    it('base64 where a model is given it to read', () => {
      const { length } = BASE64;
      for (const message of [
        { role: 'user', content: BASE64 },
        { role: 'user', content: `data:image/png;base64,${BASE64}` },
        { role: 'user', content: [{ type: 'text', text: `data:image/png;base64,${BASE64}` }] },
        { role: 'tool', tool_call_id: 'c', content: BASE64 },
      ]) {
        assert.ok(estimateInput({ messages: [message] }) >= length / 4);
      }
    });
  });

  it('are found however long a name is that a type has', () => {
    for (const url of [`data:${'b'.repeat(20_000_000)}`, `data:a/${'b'.repeat(20_000_000)}`]) {
      assert.ok(part({ type: 'hologram', url }) >= 5_000_000);
    }
  });

  it('tell apart what is a rough guess', () => {
    const image = { type: 'image_url', image_url: { url: 'https://example.com/x.png' } };
    assert.deepEqual(estimatePrompt(asking('hello')).media, 0);
    const both = estimatePrompt(asking([image, image, { type: 'text', text: 'x'.repeat(400) }]));
    assert.equal(both.media, 1600);
    assert.ok(both.tokens >= 1700 && both.tokens < 1720);
  });

  it('leave out what is no part of the prompt', () => {
    const long = 'x'.repeat(10_000);
    const tokens = estimateInput(asking('hello', { user: long, metadata: { a: long }, stop: [long] }));
    assert.equal(tokens, estimateInput(asking('hello')));
  });

  it('are a whole number, of any JSON at all, which stays as it was', () => {
    const member = fc.constantFrom('messages', 'tools', 'functions', 'response_format');
    const inner = fc.constantFrom(
      'role',
      'content',
      'type',
      'text',
      'image_url',
      'data',
      'detail',
      'file',
      'x',
    );
    const { value } = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 5 },
        fc.constantFrom('text', 'image_url', 'file', 'input_audio', 'low', null, 1e308, true),
        fc.string({ unit: 'binary', maxLength: 40 }),
        fc.array(tie('value'), { maxLength: 4 }),
        fc.dictionary(inner, tie('value'), { maxKeys: 4 }),
      ),
    }));
    fc.assert(
      fc.property(fc.dictionary(member, value), (body) => {
        const before = JSON.stringify(body);
        const { tokens, media } = estimatePrompt(body as JsonObject);
        assert.ok(
          Number.isSafeInteger(tokens) && Number.isSafeInteger(media) && media >= 0 && tokens >= media,
        );
        assert.equal(JSON.stringify(body), before);
      }),
      { numRuns: 2000 },
    );
  });

  it('are found as deep as a body may be nested', () => {
    let deep: Json = 'word '.repeat(100);
    for (let level = 0; level < 512; level++) deep = level % 2 === 0 ? [deep] : { deep };
    assert.ok(estimateInput({ messages: [{ role: 'user', other: deep }], tools: [deep] }) > 250);
  });
});

describe('the length of a text', () => {
  it('is that of its UTF-8', () => {
    const text = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 40 }),
      fc.string({ unit: 'binary', maxLength: 40 }),
    );
    fc.assert(fc.property(text, (text) => assert.equal(utf8Length(text), Buffer.byteLength(text))));
  });
});

describe('the most that an answer can take', () => {
  const cases: [body: JsonObject, most: number, overrides?: JsonObject][] = [
    [{}, 1000],
    [{ max_tokens: 50 }, 50],
    [{ max_completion_tokens: 60 }, 60],
    [{ max_tokens: 50, max_completion_tokens: 60 }, 60],
    [{ max_tokens: 60, max_completion_tokens: 50 }, 60],
    [{ max_tokens: 100_000, max_completion_tokens: 1 }, 100_000],
    [{ max_tokens: 0, max_completion_tokens: 60 }, 60],
    [{ max_tokens: 50, max_completion_tokens: null }, 50],
    [{ max_tokens: null }, 1000],
    [{ max_tokens: 50, n: 3 }, 150],
    [{ n: 3 }, 3000],
    [{ max_tokens: 50, n: null }, 50],
    [{ max_tokens: 50, n: 0 }, 50],
    [{ max_tokens: 50, n: -2 }, 50],
    [{ max_tokens: 50, n: 1.5 }, 50],
    [{ max_tokens: 50, n: '9' }, 50],
    [{ max_tokens: -1 }, 1000],
    [{ max_tokens: 0 }, 1000],
    [{ max_tokens: 7.5 }, 1000],
    [{ max_tokens: '50' }, 1000],
    [{ max_tokens: [50] }, 1000],
    [{ max_tokens: Number.NaN }, 1000],
    [{ max_tokens: 50 }, 20, { max_tokens: 20 }],
    [{ max_tokens: 50 }, 1000, { max_tokens: null }],
    [{ max_tokens: 50, max_completion_tokens: 60 }, 50, { max_completion_tokens: null }],
    [{ n: 4, max_tokens: 50 }, 50, { n: null }],
    [{ n: 4, max_tokens: 50 }, 100, { n: 2 }],
    [{ max_tokens: 50 }, 60, { max_completion_tokens: 60 }],
    [{ max_tokens: 70 }, 70, { max_completion_tokens: 60 }],
  ];
  for (const [body, most, overrides] of cases) {
    const over = overrides === undefined ? '' : ` under ${JSON.stringify(overrides)}`;
    it(`is ${most} for ${JSON.stringify(body)}${over}`, () => {
      assert.equal(maxOutput(body, 1000, overrides), most);
    });
  }

  it('stays so small that its price can be reckoned exactly', () => {
    const amount = fc.oneof(
      fc.double(),
      fc.integer(),
      fc.constantFrom(1e308, Infinity, Number.MAX_SAFE_INTEGER),
    );
    fc.assert(
      fc.property(amount, amount, (max_tokens, n) => {
        const most = maxOutput({ max_tokens, n }, 1000);
        assert.ok(Number.isSafeInteger(most) && most >= 1 && most <= 1e9);
      }),
    );
  });
});

describe('whether a request names a maximum', () => {
  const cases: [body: JsonObject, names: boolean][] = [
    [{}, false],
    [{ max_tokens: null, max_completion_tokens: null }, false],
    [{ max_tokens: 0 }, false],
    [{ max_tokens: 1.5 }, false],
    [{ n: 2 }, false],
    [{ max_tokens: 1 }, true],
    [{ max_completion_tokens: 1, max_tokens: null }, true],
  ];
  for (const [body, names] of cases) {
    it(`is ${names} of ${JSON.stringify(body)}`, () => {
      assert.equal(namesMaximum(body), names);
    });
  }
});

/** Within so many per cent. */
function near(actual: number, expected: number, percent: number): void {
  assert.ok(
    Math.abs(actual / expected - 1) <= percent / 100,
    `${actual} is not within ${percent} % of ${expected}`,
  );
}

/** Whose experience it is, where that is no matter. */
function of(model: string, tenant = 'acme'): Habit {
  return new Habit(tenant, model);
}

const M = of('m');

const ratio = fc.double({ min: 0.25, max: 8, noNaN: true });

function learnt(estimator: Estimator, times: number, ratio: number, estimated = 1000): void {
  for (let i = 0; i < times; i++) estimator.learn(M, estimated, estimated * ratio);
}

describe('an estimate that is corrected', () => {
  it('begins with what it is without', () => {
    const body = asking('hello '.repeat(100));
    assert.equal(new Estimator().corrected(M, estimateInput(body)), estimateInput(body));
    assert.equal(new Estimator().outputTokens(M, 4000), 1000);
    assert.equal(new Estimator().outputTokens(M, 1), 1);
    assert.equal(new Estimator().outputTokens(M, 0), 0);
    assert.equal(new Estimator().corrected(M, estimateInput({})), 1);
  });

  it('is within a tenth after ten requests, whatever the ratio, and whatever it was before', () => {
    fc.assert(
      fc.property(ratio, ratio, fc.integer({ min: 0, max: 30 }), (before, now, times) => {
        const estimator = new Estimator();
        learnt(estimator, times, before);
        learnt(estimator, 10, now);
        // From one end to the other takes two more.
        const far = Math.abs(Math.log(before / now)) > Math.log(8) && times > 0;
        if (far) learnt(estimator, 2, now);
        near(estimator.corrected(M, 100_000), 100_000 * now, 10);
      }),
      { numRuns: 1000 },
    );
  });

  it('does not follow one that is odd', () => {
    fc.assert(
      fc.property(ratio, ratio, (usual, odd) => {
        const estimator = new Estimator();
        learnt(estimator, 30, usual);
        learnt(estimator, 1, odd);
        near(estimator.corrected(M, 100_000), 100_000 * usual, 1);
        learnt(estimator, 1, usual);
        near(estimator.corrected(M, 100_000), 100_000 * usual, 1);
      }),
    );
    const fresh = new Estimator();
    learnt(fresh, 1, 8);
    assert.equal(fresh.corrected(M, 1000), 1000);
  });

  it('settles amid requests that differ', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.4, max: 5, noNaN: true }),
        fc.array(fc.double({ min: 0.7, max: 1.4, noNaN: true }), { minLength: 60, maxLength: 60 }),
        (usual, spread) => {
          const estimator = new Estimator();
          for (const differs of spread) estimator.learn(M, 1000, 1000 * usual * differs);
          const found = estimator.corrected(M, 100_000) / (100_000 * usual);
          assert.ok(found > 0.69 && found < 1.41, String(found));
        },
      ),
    );
  });

  it('learns little of prompts that are tiny, or mostly pictures', () => {
    for (const [estimated, media] of [
      [9, 0],
      [1000, 800],
    ] as const) {
      const estimator = new Estimator();
      learnt(estimator, 20, 1);
      for (let i = 0; i < 3; i++) estimator.learn(M, estimated, estimated * 4, media);
      near(estimator.corrected(M, 100_000), 100_000, 15);
      for (let i = 0; i < 150; i++) estimator.learn(M, estimated, estimated * 4, media);
      near(estimator.corrected(M, 100_000), 400_000, 10);
    }
  });

  it("goes by a tenant's own answers alone, once it has some", () => {
    fc.assert(
      fc.property(ratio, fc.array(ratio, { maxLength: 40 }), (own, lies) => {
        const estimator = new Estimator();
        learnt(estimator, 20, own);
        const input = estimator.corrected(M, 100_000);
        for (let i = 0; i < 20; i++) estimator.learnOutput(M, 4000, 1000 * own);
        const output = estimator.outputTokens(M, 400_000);
        for (const lie of lies) {
          estimator.learn(of('m', 'liar'), 1000, 1000 * lie);
          estimator.learnOutput(of('m', 'liar'), 4000, 1000 * lie);
        }
        assert.equal(estimator.corrected(M, 100_000), input);
        assert.equal(estimator.outputTokens(M, 400_000), output);
      }),
      { numRuns: 300 },
    );
  });

  it("goes by others' where a tenant is new to a model, and no further than half or twice", () => {
    for (const [told, followed] of [
      [1.5, 1.5],
      [0.7, 0.7],
      [8, 2],
      [0.25, 0.5],
    ] as const) {
      const estimator = new Estimator();
      learnt(estimator, 40, told);
      for (let i = 0; i < 40; i++) estimator.learnOutput(M, 4000, 1000 * told);
      near(estimator.corrected(of('m', 'newcomer'), 100_000), 100_000 * followed, 1);
      near(estimator.outputTokens(of('m', 'newcomer'), 400_000), 100_000 * followed, 1);
      near(estimator.corrected(M, 100_000), 100_000 * told, 1);
      assert.equal(estimator.corrected(of('other', 'newcomer'), 1000), 1000);
    }
  });

  it('keeps models apart, and input from output', () => {
    const estimator = new Estimator();
    learnt(estimator, 20, 2);
    near(estimator.corrected(M, 1000), 2000, 5);
    assert.equal(estimator.corrected(of('other'), 1000), 1000);
    assert.equal(estimator.outputTokens(M, 4000), 1000);
    for (let i = 0; i < 20; i++) estimator.learnOutput(M, 1000, 500);
    near(estimator.outputTokens(M, 4000), 2000, 5);
    near(estimator.corrected(M, 1000), 2000, 5);
  });

  it('forgets the model that came first when there are too many', () => {
    const estimator = new Estimator();
    const learnOf = (model: string) => {
      for (let i = 0; i < 20; i++) estimator.learn(of(model), 1000, 2000);
    };
    for (let i = 0; i < 10_000; i++) learnOf(`m${i}`);
    near(estimator.corrected(of('m0'), 1000), 2000, 5);
    learnOf('one more');
    assert.equal(estimator.corrected(of('m0'), 1000), 1000);
    for (const kept of ['m1', 'm9999', 'one more']) near(estimator.corrected(of(kept), 1000), 2000, 5);
  });

  it('learns of output without the reasoning that stayed hidden, and with what was shown', () => {
    const usage = { input: 1, cached: 0, cacheWrite: 0 };
    // 4000 characters in 2000 tokens, of whichever kind.
    for (const [output, reported] of [
      [
        { characters: 4000, reasoning: 0 },
        { output: 2000, reasoning: 0 },
      ],
      [
        { characters: 4000, reasoning: 0 },
        { output: 7000, reasoning: 5000 },
      ],
      [
        { characters: 24_000, reasoning: 20_000 },
        { output: 12_000, reasoning: 10_000 },
      ],
      [
        { characters: 24_000, reasoning: 20_000 },
        { output: 12_000, reasoning: 0 },
      ],
      [
        { characters: 5000, reasoning: 1000 },
        { output: 7000, reasoning: 5000 },
      ],
    ] as const) {
      const estimator = new Estimator();
      for (let i = 0; i < 20; i++) estimator.learnAnswer(M, output, { ...usage, ...reported });
      near(estimator.outputTokens(M, 4000), 2000, 5);
    }
  });

  it('goes by one habit for all requests of a tenant for a model', () => {
    const estimator = new Estimator();
    const habit = estimator.habit('acme', 'm');
    assert.equal(estimator.habit('acme', 'm'), habit);
    const names = [habit, estimator.habit('acme', 'n'), estimator.habit('beta', 'm')].map(({ name }) => name);
    assert.equal(new Set(names).size, 3);
  });

  it('keeps what it has learnt though more tenants came than it remembers the habits of', () => {
    const estimator = new Estimator();
    const habit = estimator.habit('acme', 'm');
    for (let i = 0; i < 20; i++) estimator.learn(habit, 1000, 2000);
    for (let i = 0; i < 10_001; i++) estimator.habit(`tenant${i}`, 'm');
    const again = estimator.habit('acme', 'm');
    assert.notEqual(again, habit);
    near(estimator.corrected(again, 1000), 2000, 5);
  });

  it('is a whole number within its bounds, whatever it is told', () => {
    const anything = fc.oneof(
      fc.double(),
      fc.integer(),
      fc.constantFrom(0, -0, -1, Number.NaN, Infinity, -Infinity, 1e308, 5e-324),
    );
    const told = fc.array(fc.tuple(fc.boolean(), anything, anything, anything), { maxLength: 30 });
    fc.assert(
      fc.property(told, anything, (lessons, asked) => {
        const estimator = new Estimator();
        for (const [input, a, b, c] of lessons) {
          if (input) estimator.learn(M, a, b, c);
          else estimator.learnOutput(M, a, b);
        }
        const found = estimator.corrected(M, 1000);
        assert.ok(Number.isInteger(found) && found >= 250 && found <= 8000, String(found));
        const output = estimator.outputTokens(M, 4000);
        assert.ok(Number.isInteger(output) && output >= 250 && output <= 8000, String(output));
        assert.ok(Number.isSafeInteger(estimator.corrected(M, asked)) && estimator.corrected(M, asked) >= 1);
        const ofAnything = estimator.outputTokens(M, asked);
        assert.ok(Number.isSafeInteger(ofAnything) && ofAnything >= 0);
      }),
      { numRuns: 2000 },
    );
  });
});
