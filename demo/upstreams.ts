/** The demo's stand-ins for providers: a mock server from the registry, three times, two of them failing on purpose. */
import { LLMock } from '@copilotkit/aimock';

const GREETING = 'Hello from the steady stand-in! The two before me could not answer, and you need not know.';
const STORY = 'Once upon a time there was a stream that began well, and then, all of a sudden, it';

/** Slow enough to be watched. */
const TYPING = { ttft: 150, tps: 25, jitter: 0.2 };

const ANYTHING = { predicate: () => true };

export interface Upstreams {
  /** For the environment of the gateway: what `config/demo.yaml` names. */
  environment: Record<string, string>;
  stop(): Promise<void>;
}

export async function startUpstreams(): Promise<Upstreams> {
  const crowded = new LLMock({ port: 0, logLevel: 'silent' });
  crowded.addFixture({
    match: ANYTHING,
    response: {
      error: {
        message: 'Rate limit reached, try again later.',
        type: 'requests',
        code: 'rate_limit_exceeded',
      },
      status: 429,
      retryAfter: 20,
    },
  });

  const shaky = new LLMock({ port: 0, logLevel: 'silent' });
  shaky.addFixture({
    match: { model: 'gpt-6-luna' },
    response: { content: STORY },
    chunkSize: 6,
    streamingProfile: TYPING,
    truncateAfterChunks: 12,
  });
  shaky.addFixture({ match: ANYTHING, response: { content: '' }, chaos: { disconnectRate: 1 } });

  const steady = new LLMock({ port: 0, logLevel: 'silent' });
  steady.addFixture({
    match: ANYTHING,
    response: { content: GREETING },
    chunkSize: 6,
    streamingProfile: TYPING,
  });

  const all = [crowded, shaky, steady];
  await Promise.all(all.map((mock) => mock.start()));
  return {
    environment: {
      DEMO_CROWDED_URL: `${crowded.url}/v1`,
      DEMO_SHAKY_URL: `${shaky.url}/v1`,
      DEMO_STEADY_URL: `${steady.url}/v1`,
    },
    stop: async () => {
      await Promise.all(all.map((mock) => mock.stop()));
    },
  };
}
