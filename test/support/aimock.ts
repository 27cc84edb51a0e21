/**
 * A well-kept mock server from the registry, for tests that want a provider written by someone else. Requests are
 * told apart by their last user message; `mock` takes more fixtures at any time.
 */
import { LLMock } from '@copilotkit/aimock';

export interface Aimock {
  /** For a provider's `base_url`: `http://127.0.0.1:PORT/v1`. Without the `/v1` it serves the other providers' paths. */
  readonly url: string;
  readonly mock: LLMock;
  stop(): Promise<void>;
}

/** What each word in the last user message brings, first match first; anything else is answered with `any`. */
export const AIMOCK_ANSWERS = {
  hello: 'Hello! How can I help you today?',
  story: 'Once upon a time there was a relay that never lost a word, and everybody who used it was content.',
  any: 'I understand.',
} as const;

export async function startAimock(): Promise<Aimock> {
  const mock = new LLMock({ port: 0, logLevel: 'silent' });
  mock.onMessage('hello', { content: AIMOCK_ANSWERS.hello });
  mock.onMessage('story', { content: AIMOCK_ANSWERS.story }, { chunkSize: 8 });
  mock.addFixture({ match: { hasToolResult: true }, response: { content: 'It is 21 degrees in Paris.' } });
  mock.onMessage('weather', {
    toolCalls: [{ id: 'call_weather', name: 'get_weather', arguments: '{"city":"Paris"}' }],
  });
  mock.onMessage('rate limited', {
    error: { message: 'Rate limit reached', type: 'requests', code: 'rate_limit_exceeded' },
    status: 429,
    retryAfter: 1,
  });
  mock.onMessage('overloaded', {
    error: { message: 'The server is overloaded', type: 'server_error', code: 'server_is_overloaded' },
    status: 503,
  });
  mock.onMessage('bad request', {
    error: { message: 'Invalid value', type: 'invalid_request_error', code: 'invalid_value' },
    status: 400,
  });
  mock.onMessage('cut off', { content: AIMOCK_ANSWERS.story }, { chunkSize: 4, truncateAfterChunks: 3 });
  mock.addFixture({ match: { predicate: () => true }, response: { content: AIMOCK_ANSWERS.any } });
  await mock.start();
  return { url: `${mock.url}/v1`, mock, stop: () => mock.stop() };
}
