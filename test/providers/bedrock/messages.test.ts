import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonObject } from '../../../src/core/json.ts';
import { Unsupported } from '../../../src/providers/adapter.ts';
import { bedrock } from '../../../src/providers/bedrock/adapter.ts';
import { sentJson } from '../kit.ts';
import { CLAUDE, HELLO, LLAMA, MISTRAL, NOVA, OPEN, prepare, sends } from './rig.ts';

const PNG = Buffer.from('not really a picture');
const PDF = Buffer.from('%PDF-1.7');
const image = (type: string) => ({
  type: 'image_url',
  image_url: { url: `data:${type};base64,${PNG.toString('base64')}`, detail: 'high' },
});
const user = (...content: JsonObject[]) => ({ messages: [{ role: 'user', content }] });
const text = (said: string) => ({ type: 'text', text: said });
const file = (filename: string | null, type = 'application/pdf'): JsonObject => ({
  type: 'file',
  file: {
    ...(filename === null ? {} : { filename }),
    file_data: `data:${type};base64,${PDF.toString('base64')}`,
  },
});

function unsupported(request: JsonObject, param: string, model = CLAUDE): void {
  assert.throws(
    () => prepare(request, { model }),
    (error: unknown) => {
      assert.ok(error instanceof Unsupported);
      assert.equal(error.param, param);
      assert.match(error.message, /^[A-Z].*\.$/);
      return true;
    },
  );
}

describe('messages for Converse', () => {
  it('sends text to Converse, and to ConverseStream if it is to be streamed', async () => {
    const whole = await sends(HELLO, {});
    assert.equal(whole.path, '/model/us.anthropic.claude-opus-4-6-v1%3A0/converse');
    assert.deepEqual(whole.headers, ['content-type', 'application/json', 'accept', 'application/json']);
    const streamed = await sends(HELLO, {}, { streaming: true });
    assert.equal(streamed.path, '/model/us.anthropic.claude-opus-4-6-v1%3A0/converse-stream');
    assert.ok(streamed.headers.includes('application/vnd.amazon.eventstream'));
  });

  it('encodes a model that is an ARN as the SDK does', async () => {
    const model = 'arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude(!)';
    const { path } = await sends(HELLO, {}, { model });
    assert.equal(
      path,
      '/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fus.anthropic.claude%28%21%29/converse',
    );
  });

  it('puts all that the system says into one place', async () => {
    await sends(
      {
        messages: [
          { role: 'system', content: 'Be brief.' },
          { role: 'developer', content: [text('Be kind.'), text('   ')] },
          { role: 'user', content: 'One' },
          { role: 'system', content: 'Now be long.' },
          { role: 'user', content: 'Two' },
        ],
      },
      {
        system: [{ text: 'Be brief.' }, { text: 'Be kind.' }, { text: 'Now be long.' }],
        messages: [{ role: 'user', content: [{ text: 'One' }, { text: 'Two' }] }],
      },
    );
  });

  it('alternates, and begins with the user', async () => {
    await sends(
      {
        messages: [
          { role: 'assistant', content: 'Welcome.' },
          { role: 'user', content: 'One' },
          { role: 'user', content: 'Two' },
          { role: 'assistant', content: 'Three' },
          { role: 'assistant', content: 'Four' },
          { role: 'user', content: 'Five' },
        ],
      },
      {
        messages: [
          { role: 'user', content: [{ text: '(The conversation begins.)' }] },
          { role: 'assistant', content: [{ text: 'Welcome.' }] },
          { role: 'user', content: [{ text: 'One' }, { text: 'Two' }] },
          { role: 'assistant', content: [{ text: 'Three' }, { text: 'Four' }] },
          { role: 'user', content: [{ text: 'Five' }] },
        ],
      },
    );
    await sends(
      { messages: [{ role: 'system', content: 'Say something.' }] },
      {
        system: [{ text: 'Say something.' }],
        messages: [{ role: 'user', content: [{ text: '(The conversation begins.)' }] }],
      },
    );
  });

  it('leaves out blank texts and what has nothing else, and alternates all the same', async () => {
    await sends(
      {
        messages: [
          { role: 'user', content: [text(' \n'), text('One')] },
          {
            role: 'assistant',
            content: '  ',
            thinking_blocks: [{ type: 'thinking', thinking: 'a', signature: 's' }],
          },
          { role: 'user', content: 'Two' },
        ],
      },
      { messages: [{ role: 'user', content: [{ text: 'One' }, { text: 'Two' }] }] },
    );
  });

  it('ends with the assistant only where the model goes on from there', async () => {
    const request: JsonObject = {
      messages: [
        { role: 'user', content: 'Name a colour.' },
        {
          role: 'assistant',
          content: 'My colour is \n',
          thinking_blocks: [{ type: 'thinking', thinking: 'Blue?', signature: 'c2ln' }],
        },
      ],
    };
    unsupported(request, 'messages');
    await sends(
      request,
      {
        messages: [
          { role: 'user', content: [{ text: 'Name a colour.' }] },
          { role: 'assistant', content: [{ text: 'My colour is' }] },
        ],
      },
      { capabilities: { prefill: true } },
    );
    const calling = {
      messages: [
        { role: 'user', content: 'Name a colour.' },
        { role: 'assistant', tool_calls: [{ id: 'a', type: 'function', function: { name: 'look' } }] },
      ],
      tools: [{ type: 'function', function: { name: 'look' } }],
    };
    assert.throws(() => prepare(calling, { capabilities: { prefill: true } }), Unsupported);
  });

  it('sends pictures as bytes in the formats that Converse knows', async () => {
    for (const [type, format] of [
      ['image/png', 'png'],
      ['image/jpeg', 'jpeg'],
      ['image/jpg', 'jpeg'],
      ['image/gif', 'gif'],
      ['IMAGE/WEBP', 'webp'],
    ] as const) {
      await sends(user(image(type)), {
        messages: [{ role: 'user', content: [{ image: { format, source: { bytes: PNG } } }] }],
      });
    }
    unsupported(user(image('image/tiff')), 'messages[0].content[0]');
    unsupported(user(text('Look'), image('image/svg+xml')), 'messages[0].content[1]');
  });

  it('names places in S3, and nothing else, by URL', async () => {
    const uri = 's3://bucket/a picture.jpeg?versionId=1';
    await sends(user({ type: 'image_url', image_url: { url: uri } }), {
      messages: [{ role: 'user', content: [{ image: { format: 'jpeg', source: { s3Location: { uri } } } }] }],
    });
    const document = 's3://bucket/some/report.final.pdf';
    await sends(user(text('Read'), { type: 'file', file: { file_url: document } }), {
      messages: [
        {
          role: 'user',
          content: [
            { text: 'Read' },
            { document: { format: 'pdf', name: 'report final', source: { s3Location: { uri: document } } } },
          ],
        },
      ],
    });
    unsupported(
      user({ type: 'image_url', image_url: { url: 's3://bucket/no-ending' } }),
      'messages[0].content[0]',
    );
    unsupported(
      user({ type: 'image_url', image_url: { url: 'https://a.test/a.png' } }),
      'messages[0].content[0]',
    );
    assert.equal(bedrock.fetches?.('https://a.test/a.png'), true);
    assert.equal(bedrock.fetches?.('s3://bucket/a.png'), false);
  });

  it('names documents with the letters that are allowed, and none twice', async () => {
    const doc = (name: string) => ({
      document: { format: 'pdf' as const, name, source: { bytes: PDF } },
    });
    await sends(
      user(
        text('Compare'),
        file('Quarterly report, 2026 (final)_v1.2.pdf'),
        file('../../etc/passwd'),
        file('Größe  \t[1].pdf'),
        file(null),
        file('document.pdf'),
      ),
      {
        messages: [
          {
            role: 'user',
            content: [
              { text: 'Compare' },
              doc('Quarterly report 2026 (final) v1 2'),
              doc('etc passwd'),
              doc('Gr e [1]'),
              doc('document'),
              doc('document (2)'),
            ],
          },
        ],
      },
    );
    const longest = JSON.stringify(sentJson(prepare(user(file('x'.repeat(5000)), file('x'.repeat(5000))))));
    const names = [...longest.matchAll(/"name":"(.*?)"/g)].map(([, name = '']) => name);
    assert.equal(new Set(names).size, 2);
    assert.ok(
      names.every((name) => /^[A-Za-z0-9()[\]-]+( [A-Za-z0-9()[\]-]+)*$/.test(name) && name.length <= 200),
    );
  });

  it('sends every format that a document may have, with a text beside it', async () => {
    for (const [type, name, format] of [
      ['application/pdf', 'a.pdf', 'pdf'],
      ['text/csv', 'a.csv', 'csv'],
      ['application/msword', 'a.doc', 'doc'],
      ['application/vnd.openxmlformats-officedocument.wordprocessingml.document', 'a.docx', 'docx'],
      ['application/vnd.ms-excel', 'a.xls', 'xls'],
      ['application/vnd.openxmlformats-officedocument.spreadsheetml.sheet', 'a.xlsx', 'xlsx'],
      ['text/html', 'a.html', 'html'],
      ['text/plain', 'a.txt', 'txt'],
      ['text/markdown', 'a.md', 'md'],
      ['text/x-python', 'a.py', 'txt'],
      ['application/json', 'a.json', 'txt'],
      ['application/octet-stream', 'a.docx', 'docx'],
    ] as const) {
      await sends(user(file(name, type)), {
        messages: [
          {
            role: 'user',
            content: [
              { document: { format, name: 'a', source: { bytes: PDF } } },
              { text: 'The document is attached.' },
            ],
          },
        ],
      });
    }
    unsupported(user(file('a.zip', 'application/zip')), 'messages[0].content[0]');
    unsupported(user(file('a.mp4', 'video/mp4')), 'messages[0].content[0]');
  });

  it('takes a file for what its type says', async () => {
    await sends(user(file('a.png', 'image/png')), {
      messages: [{ role: 'user', content: [{ image: { format: 'png', source: { bytes: PDF } } }] }],
    });
    await sends(
      user(file('a.mp3', 'audio/mpeg')),
      { messages: [{ role: 'user', content: [{ audio: { format: 'mp3', source: { bytes: PDF } } }] }] },
      { model: NOVA },
    );
  });

  it('sends audio to models that may hear it', async () => {
    const request = user({
      type: 'input_audio',
      input_audio: { format: 'wav', data: PNG.toString('base64') },
    });
    await sends(
      request,
      { messages: [{ role: 'user', content: [{ audio: { format: 'wav', source: { bytes: PNG } } }] }] },
      { model: NOVA },
    );
    unsupported(request, 'messages[0].content[0]');
    unsupported(
      user({ type: 'input_audio', input_audio: { format: 'midi', data: 'AAAA' } }),
      'messages[0].content[0]',
      NOVA,
    );
  });

  it('refuses what the model does not read', () => {
    const input = new Set<never>();
    const audio = { type: 'input_audio', input_audio: { format: 'wav', data: 'AAAA' } };
    for (const part of [image('image/png'), file('a.pdf'), audio]) {
      assert.throws(() => prepare(user(part), { model: NOVA, capabilities: { input } }), Unsupported);
    }
  });

  it('refuses files by id', () => {
    unsupported(user({ type: 'file', file: { file_id: 'file-1' } }), 'messages[0].content[0]');
  });

  it('marks with a cache point after what is marked, where the model keeps prompts', async () => {
    const marked = {
      messages: [
        {
          role: 'system',
          content: [{ ...text('Be brief.'), cache_control: { type: 'ephemeral', ttl: '1h' } }],
        },
        { role: 'user', content: [{ ...text('One'), cache_control: { type: 'ephemeral' } }, text('Two')] },
        {
          role: 'assistant',
          content: [{ ...text('Three'), cache_control: { type: 'ephemeral', ttl: '5m' } }],
        },
        { role: 'user', content: 'Four' },
      ],
    };
    const point = (ttl?: '5m' | '1h') => ({
      cachePoint: { type: 'default' as const, ...(ttl === undefined ? {} : { ttl }) },
    });
    const claude = await sends(marked, {
      system: [{ text: 'Be brief.' }, point('1h')],
      messages: [
        { role: 'user', content: [{ text: 'One' }, point(), { text: 'Two' }] },
        { role: 'assistant', content: [{ text: 'Three' }, point('5m')] },
        { role: 'user', content: [{ text: 'Four' }] },
      ],
    });
    assert.deepEqual(claude.dropped, []);
    await sends(
      marked,
      {
        system: [{ text: 'Be brief.' }, point()],
        messages: [
          { role: 'user', content: [{ text: 'One' }, point(), { text: 'Two' }] },
          { role: 'assistant', content: [{ text: 'Three' }, point()] },
          { role: 'user', content: [{ text: 'Four' }] },
        ],
      },
      { model: NOVA },
    );
    for (const model of [OPEN, LLAMA, MISTRAL]) {
      const others = prepare(marked, { model });
      assert.ok(!JSON.stringify(sentJson(others)).includes('cachePoint'));
      assert.deepEqual(others.dropped, ['cache_control']);
      assert.throws(() => prepare(marked, { model, strict: true }), Unsupported);
    }
  });

  it('takes a marker of the whole request for one on the last that the user said', async () => {
    const request: JsonObject = { ...HELLO, cache_control: { type: 'ephemeral', ttl: '1h' } };
    await sends(request, {
      messages: [
        { role: 'user', content: [{ text: 'Hello' }, { cachePoint: { type: 'default', ttl: '1h' } }] },
      ],
    });
    assert.deepEqual(prepare(request, { model: OPEN }).dropped, ['cache_control']);
  });

  it('places markers where it is to, for models that keep prompts, and names none as dropped for others', () => {
    const long = 'word '.repeat(20_000);
    const request: JsonObject = {
      messages: [
        { role: 'system', content: long },
        { role: 'user', content: long },
        { role: 'assistant', content: 'Yes.' },
        { role: 'user', content: 'Go on.' },
      ],
      tools: [{ type: 'function', function: { name: 'look', description: long } }],
    };
    const points = (model: string) => {
      const prepared = prepare(request, { model, cacheMarkers: true, strict: true });
      const sent = sentJson(prepared);
      const count = (value: unknown) => JSON.stringify(value ?? []).split('"cachePoint"').length - 1;
      return [count(sent['toolConfig']), count(sent['system']), count(sent['messages'])];
    };
    const [tools = 0, system = 0, messages = 0] = points(CLAUDE);
    assert.ok(tools === 1 && system === 1 && messages >= 1 && tools + system + messages <= 4);
    assert.deepEqual(points(NOVA).slice(0, 2), [0, 1]);
    assert.deepEqual(points(OPEN), [0, 0, 0]);
  });
});
