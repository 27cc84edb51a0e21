import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { NOTHING_KNOWN } from '../../src/capabilities/capabilities.ts';
import { noteThinkingBudget } from '../../src/chat/thinking-budget.ts';
import { Cancellation } from '../../src/core/cancellation.ts';
import { JsonBody } from '../../src/core/json-body.ts';
import type { TryRecord } from '../../src/core/outcome.ts';
import { type Credentials, CredentialsError } from '../../src/credentials/credentials.ts';
import { type Media, MediaFetcher } from '../../src/media/media.ts';
import { MediaError } from '../../src/media/media-error.ts';
import type { MediaLimits } from '../../src/media/stop.ts';
import type { CallContext, CallRequest } from '../../src/upstream/call.ts';
import { prepareCall } from '../../src/upstream/prepare-call.ts';
import { UpstreamRegistry } from '../../src/upstream/registry.ts';
import { visit } from '../../src/upstream/visit.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { PROVIDER, TARGET } from './visit.ts';

const NONE = Buffer.alloc(0);
const PICTURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1').toString('base64');

/** A visit to Bedrock with a picture by URL, whose fetch and whose credentials take their time on the clock. */
async function ask(
  t: TestContext,
  { fetching = 0, authorizing = 0, found = true, request = {} as Partial<CallRequest> },
) {
  const clock = new ManualClock(1000);
  const sent: Buffer[] = [];
  const limits: MediaLimits[] = [];
  const credentials: Credentials = {
    async authorize({ body }) {
      sent.push(...body);
      clock.advance(authorizing);
      throw new CredentialsError('there are none', true);
    },
  };
  class Slow extends MediaFetcher {
    override async fetch(_url: string, _kind: 'image' | 'file', asked: MediaLimits = {}): Promise<Media> {
      limits.push(asked);
      clock.advance(fetching);
      if (!found) throw new MediaError('The URL holds no image.');
      return { mediaType: 'image/png', url: `data:image/png;base64,${PICTURE}` };
    }
  }
  const registry = new UpstreamRegistry({
    clock,
    chance: () => 0.5,
    onTransition: () => {},
    environment: {},
  });
  t.after(() => registry.destroy());
  const provider = {
    ...PROVIDER,
    id: 'a',
    adapter: 'bedrock',
    baseUrl: 'http://127.0.0.1:9',
    apiKeys: [null],
  };
  const knowledge = {
    capabilities: () => ({ ...NOTHING_KNOWN, thinking: 'budget' as const }),
    credentials: new Map([['a', credentials]]),
    limiters: new Map(),
  };
  const settings = { ...TARGET, model: 'anthropic.claude-opus-4-5' };
  const target = registry.load(new Map([['a', provider]]), [settings], knowledge).get(settings);
  assert.ok(target);
  const image = { type: 'image_url', image_url: { url: 'https://pictures.test/a.png' } };
  const messages = [{ role: 'user', content: [{ type: 'text', text: 'Look' }, image] }];
  const body = JsonBody.parse(Buffer.from(JSON.stringify({ model: 'm', messages, ...request.body?.value })));
  noteThinkingBudget(body.value, 2000);
  const tries: TryRecord[] = [];
  const context = {
    request: {
      dialect: 'chat' as const,
      streaming: false,
      wantsUsage: false,
      headers: [],
      chat: () => body,
      ...request,
      body,
    },
    passedHeaders: [],
    requestId: 'r',
    startedAt: clock.now(),
    cancellation: new Cancellation(),
    tries,
    tenant: 'acme',
    slept: [],
    mayTake: () => ({ input: 0, output: 0 }),
    clock,
    chance: () => 0.5,
    redact: (text: string) => text,
    presenter: () => ({ ping: NONE, chunk: () => null, end: () => null, error: () => NONE }),
    memory: { remember: () => {}, recall: () => null },
    media: new Slow(),
    newId: () => 'new',
    continuing: null,
    events: {
      tried: () => {},
      firstToken: () => {},
      retryDenied: () => {},
      limited: () => {},
      interrupted: () => {},
      continued: () => {},
      dropped: () => {},
    },
  };
  const end = await visit(target, context);
  return { end, target, context, tries, limits, sent: Buffer.concat(sent).toString() };
}

/** All that was waited besides the tries. */
function sleptMs({ slept }: Pick<CallContext, 'slept'>): number {
  return slept.reduce((sum, { ms }) => sum + ms, 0);
}

describe('what is waited for', () => {
  it('is not time of our own: what is fetched counts as waiting, credentials as part of the try', async (t) => {
    const { end, context, tries, limits } = await ask(t, { fetching: 3000, authorizing: 700 });
    assert.equal(end.kind, 'failed');
    assert.equal(sleptMs(context), 3000);
    assert.deepEqual(
      tries.map(({ outcome, ms }) => [outcome, ms]),
      [['credentials_refused', 700]],
    );
    assert.equal(limits[0]?.owner, 'acme');
  });

  it('counts as well where nothing was found', async (t) => {
    const { end, context, tries } = await ask(t, { fetching: 3000, found: false });
    assert.deepEqual(end, {
      kind: 'unsupported',
      param: 'messages[0].content[1]',
      message: 'The URL holds no image.',
    });
    assert.equal(sleptMs(context), 3000);
    assert.deepEqual(tries, []);
  });

  it('is told of by the name that the client gives its place', async (t) => {
    const request = { dialect: 'messages' as const, name: (param: string) => `mine of ${param}` };
    const { end } = await ask(t, { found: false, request });
    assert.equal(end.kind === 'unsupported' && end.param, 'mine of messages[0].content[1]');
  });

  it('does not lose how long the client lets it think', async (t) => {
    const more = JsonBody.parse(Buffer.from('{"reasoning_effort":"high"}'));
    const { sent } = await ask(t, { request: { body: more } });
    assert.match(sent, /"budget_tokens":2000/);
    assert.ok(sent.includes(PICTURE));
  });
});

describe('what a target cannot take', () => {
  const more = (text: string) => JsonBody.parse(Buffer.from(text));

  it('is told of by the names of the client, without those that it never sent', async (t) => {
    const request = {
      dialect: 'messages' as const,
      name: (param: string) => (param === 'seed' ? 'my_seed' : null),
      body: more('{"seed":1,"presence_penalty":1}'),
      dropped: ['speed'],
    };
    const { target, context } = await ask(t, { request });
    const { prepared } = await prepareCall(target, context);
    assert.deepEqual(prepared.dropped, ['speed', 'my_seed']);
    const chat = { ...context, request: { ...context.request, dialect: 'chat' as const, dropped: [] } };
    assert.deepEqual((await prepareCall(target, chat)).prepared.dropped, ['seed', 'presence_penalty']);
  });

  it('is refused by the name of the client, in the message too', async (t) => {
    const request = { dialect: 'messages' as const, name: () => 'mine', body: more('{"seed":1}') };
    const { target, context } = await ask(t, { request });
    const strict = { ...target, settings: { ...target.settings, strictParams: true } };
    await assert.rejects(async () => prepareCall(strict, context), {
      name: 'Unsupported',
      param: 'mine',
      message: "The parameter 'mine' is not supported.",
    });
  });

  it('keeps its name where the client has none', async (t) => {
    const request = { dialect: 'messages' as const, name: () => null, body: more('{"n":2}') };
    const { end } = await ask(t, { request });
    assert.equal(end.kind === 'unsupported' && end.param, 'n');
  });
});
