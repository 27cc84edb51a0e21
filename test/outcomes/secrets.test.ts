import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { apiError, head, plain, type Script, script, stream, write } from '../support/upstream.ts';
import { ask, openGateway, openUpstream } from './helpers.ts';

/** As awkward as a key can be: everything in it is written differently in JSON or in a URL. */
const KEY = 'sk-proj/quote"back\\slash+and&less<=end';
const SECOND_KEY = `${KEY}-second`;
const HEADER = 'Basic c3BpbGx3YXk6c2VjcmV0';

const escaped = (text: string) =>
  [...text].map((letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`).join('');
const asJson = JSON.stringify(KEY).slice(1, -1);
const openaiError = (message: string) =>
  `{"error":{"message":"${message}","type":"x","param":null,"code":null}}`;

const json = (status: number, text: string) =>
  plain({ status, text, headers: { 'content-type': 'application/json' } });

const ECHOES: [string, Script][] = [
  ['in the message of an error', apiError(400, { message: `Wrong key: ${KEY}` })],
  ['of another key of the pool', apiError(400, { message: `Wrong key: ${SECOND_KEY}` })],
  ['of a header of the provider', apiError(400, { message: `You sent ${HEADER}` })],
  ['in type, code and param', apiError(400, { message: 'no', type: KEY, code: KEY, param: KEY })],
  [
    'in a field that nobody knows',
    json(400, JSON.stringify({ error: { message: 'no' }, request: { key: KEY } })),
  ],
  ['as the name of a field', json(400, JSON.stringify({ error: { message: 'no' }, [KEY]: 1 }))],
  ['with every letter escaped', json(400, openaiError(escaped(KEY)))],
  ['with some letters escaped', json(400, openaiError(asJson.replace('/', '\\/').replace('-', '\\u002d')))],
  ['in a text instead of an error', json(400, JSON.stringify({ error: `Wrong key: ${KEY}` }))],
  ['in a flat error', json(400, JSON.stringify({ object: 'error', message: KEY, code: KEY }))],
  ['in a list of details', json(422, JSON.stringify({ detail: [{ msg: 'no', input: KEY }] }))],
  ['in an error without a message', json(400, JSON.stringify({ error: { input: KEY } }))],
  ['in words for a prompt that is too long', apiError(400, { message: `prompt is too long for ${KEY}` })],
  ['in a refusal of the key', apiError(401, { message: `Incorrect API key provided: ${KEY}` })],
  ['in a server error', apiError(500, { message: `crashed with ${KEY}` })],
  [
    'in a page',
    plain({ status: 502, text: `<html>${KEY}</html>`, headers: { 'content-type': 'text/html' } }),
  ],
  ['in a URL', plain({ status: 502, text: `https://x.example/?key=${encodeURIComponent(KEY)}` })],
  ['where a quotation of a page would cut it', plain({ status: 502, text: `${'x'.repeat(195)}${KEY}` })],
  ['behind so much space that it would be cut', plain({ status: 502, text: `${' '.repeat(4090)}${KEY}` })],
  ['in a page with status 200', plain({ text: `<html>${KEY}</html>` })],
  ['where a quotation of a page with status 200 would cut it', plain({ text: `${'x'.repeat(195)}${KEY}` })],
  ['in an error with status 200', plain({ json: { error: { message: KEY, code: 400 } } })],
  ['in an error with status 200 that names nothing', plain({ json: { error: KEY } })],
  [
    'in the choice that failed',
    plain({ json: { choices: [{ finish_reason: 'error', error: { message: KEY } }] } }),
  ],
  ['in the first event of a stream', stream([{ error: { message: `no: ${KEY}`, code: 400 } }])],
  ['in the first event, escaped', stream([`data: ${openaiError(escaped(KEY))}`])],
  [
    'in a stream event after content',
    stream([
      { choices: [{ index: 0, delta: { content: 'x' }, finish_reason: null }] },
      { error: { message: KEY } },
    ]),
  ],
  ['in a header', apiError(400, { message: 'no' }, { 'x-your-key': KEY, 'www-authenticate': KEY })],
  ['in an answer that is no HTTP', script(write(`HTTP/1.1 ${KEY}\r\n\r\n`))],
  [
    'in the name of a coding',
    script(head(200, { 'content-encoding': KEY, 'content-length': '2' }), write('{}')),
  ],
];

describe('A key that an upstream writes back', () => {
  for (const [where, answer] of ECHOES) {
    it(`reaches nobody: ${where}`, async (t) => {
      const a = await openUpstream(t, () => answer);
      const gateway = await openGateway(t, {
        providers: {
          a: {
            adapter: 'openai',
            base_url: a.url,
            api_keys: [KEY, SECOND_KEY],
            headers: { 'x-gate': HEADER },
          },
        },
        models: { m: { provider: 'a', retry: { attempts: 0 } } },
      });
      const seen = [await ask(gateway), await ask(gateway, { stream: true })];
      assert.ok(a.requests.some(({ headers }) => headers['authorization'] === `Bearer ${KEY}`));
      assert.equal(a.requests[0]?.headers['x-gate'], HEADER);
      const shown = {
        client: seen.map(({ headers, text }) => `${JSON.stringify([...headers])}\n${text}`).join('\n'),
        'what a client parses': seen.map(({ text }) => unescaped(text)).join('\n'),
        log: JSON.stringify([gateway.logs, await gateway.ended(2)]),
        admin: JSON.stringify(await gateway.upstreams()),
        metrics: await gateway.metrics(),
      };
      for (const [place, text] of Object.entries(shown)) {
        for (const secret of [KEY, HEADER]) {
          for (const form of [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)]) {
            assert.ok(!text.includes(form), `in ${place}: ${text}`);
          }
        }
        // Not a beginning of it either, where the quotation was cut.
        assert.ok(!text.includes(KEY.slice(0, 8)), `in ${place}: ${text}`);
      }
    });
  }
});

/** Every escape of JSON undone, wherever it stands. */
function unescaped(text: string): string {
  return text
    .replace(/\\u([0-9a-f]{4})/gi, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
    .replace(/\\(["\\/])/g, '$1');
}
