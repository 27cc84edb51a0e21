import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { loadText } from '../../src/config/load.ts';
import type { ProviderSettings } from '../../src/providers/settings.ts';
import { configOf, load, problemsOf } from './helpers.ts';

type Env = Record<string, string>;

const file = (text: string, key = 'providers') =>
  `version: 1\nauth: none\n${key}:\n  a: ${text}\nmodels: { m: { provider: a, model: claude-opus-5-5 } }\n`;

function providerOf(text: string, env: Env = {}): ProviderSettings {
  const provider = configOf(file(text), env).providers.get('a');
  assert.ok(provider);
  return provider;
}

/** The only problem of a provider, without its line. */
function problemOf(text: string, env: Env = {}): string {
  const problems = problemsOf(file(text), env);
  assert.equal(problems.length, 1, problems.join('\n'));
  return problems[0]?.replace(/^4:\d+ /, '') ?? '';
}

/** Without secrets: what is wrong all the same. */
function problemsWithoutSecrets(text: string): string[] {
  const loaded = loadText('x.yaml', file(text), { env: { AWS_REGION: 'nonsense' }, readSecrets: false });
  return loaded.ok ? [] : loaded.problems.map(({ path, message }) => `${path}: ${message}`);
}

/** A provider that is right, for each adapter. */
const RIGHT: Readonly<Record<string, string>> = {
  openai: 'api_key: k',
  deepseek: 'api_key: k',
  ollama: 'connections: 1',
  anthropic: 'api_key: k',
  gemini: 'api_key: k',
  bedrock: 'region: us-east-1',
  azure: 'resource: my-resource',
  vertex: 'project: my-project',
};

const KEYS: Readonly<Record<string, { adapter: string; value: string }>> = {
  region: { adapter: 'bedrock', value: 'eu-west-1' },
  resource: { adapter: 'azure', value: 'other' },
  deployments: { adapter: 'azure', value: '{ gpt-6-sol: mine }' },
  api_version: { adapter: 'azure', value: '2024-10-21' },
  project: { adapter: 'vertex', value: 'other' },
  location: { adapter: 'vertex', value: 'eu' },
};

describe('a key that only one adapter reads', () => {
  for (const [key, { adapter, value }] of Object.entries(KEYS)) {
    it(`${key} is for ${adapter}, and a problem on every other`, () => {
      for (const [other, needed] of Object.entries(RIGHT)) {
        const rest = needed.startsWith(`${key}:`) ? '' : `${needed}, `;
        const text = `{ adapter: ${other}, ${rest}${key}: ${value} }`;
        if (other === adapter) assert.ok(providerOf(text));
        else {
          assert.equal(
            problemOf(text),
            `providers.a.${key}: belongs to \`adapter: ${adapter}\`; \`adapter: ${other}\` has no use for it`,
          );
        }
      }
    });
  }

  it('is not there where it is not given', () => {
    for (const [adapter, needed] of Object.entries(RIGHT)) {
      const { region, resource, deployments, apiVersion, project, location } = providerOf(
        `{ adapter: ${adapter}, ${needed} }`,
      );
      assert.deepEqual(
        { region, resource, deployments, apiVersion, project, location },
        {
          region: adapter === 'bedrock' ? 'us-east-1' : null,
          resource: adapter === 'azure' ? 'my-resource' : null,
          deployments: {},
          apiVersion: null,
          project: adapter === 'vertex' ? 'my-project' : null,
          location: adapter === 'vertex' ? 'global' : null,
        },
        adapter,
      );
    }
  });

  it('is told where it stands under virtual_keys too', () => {
    const problems = problemsOf(file('{ adapter: gemini, api_key: k, project: p }', 'virtual_keys'));
    assert.match(problems[0] ?? '', /^4:46 virtual_keys\.a\.project: belongs to `adapter: vertex`/);
  });
});

describe('the key of a native provider', () => {
  for (const adapter of ['anthropic', 'gemini']) {
    it(`has to be there for ${adapter}`, () => {
      assert.match(problemOf(`{ adapter: ${adapter} }`), /api_key: missing; `adapter: \w+` needs a key/);
      assert.match(
        problemOf(`{ adapter: ${adapter}, api_key: "" }`),
        /api_key: expected a key, found an empty/,
      );
      assert.deepEqual(providerOf(`{ adapter: ${adapter}, api_keys: [k1, k2] }`).apiKeys, ['k1', 'k2']);
    });
  }

  for (const adapter of ['bedrock', 'azure', 'vertex']) {
    it(`may be left out or empty for ${adapter}, which then uses the credentials of its surroundings`, () => {
      const needed = RIGHT[adapter];
      assert.deepEqual(providerOf(`{ adapter: ${adapter}, ${needed} }`).apiKeys, [null]);
      assert.deepEqual(providerOf(`{ adapter: ${adapter}, ${needed}, api_key: "\${K:-}" }`).apiKeys, [null]);
      const config = configOf(file(`{ adapter: ${adapter}, ${needed}, api_key: "\${K}" }`), {
        K: 'key-of-mine',
      });
      assert.deepEqual(config.providers.get('a')?.apiKeys, ['key-of-mine']);
      assert.deepEqual(config.secrets, ['key-of-mine']);
    });
  }
});

describe('where a native provider is', () => {
  for (const [text, url] of [
    ['adapter: anthropic, api_key: k', /^https:\/\/api\.anthropic\.com/],
    ['adapter: gemini, api_key: k', /^https:\/\/generativelanguage\.googleapis\.com/],
    ['adapter: bedrock, region: eu-west-1', /^https:\/\/bedrock-runtime\.eu-west-1\.amazonaws\.com$/],
    ['adapter: azure, resource: mine', /^https:\/\/mine\.openai\.azure\.com\/openai\/v1$/],
    ['adapter: vertex, project: p', /^https:\/\/aiplatform\.googleapis\.com/],
    [
      'adapter: vertex, project: p, location: europe-west4',
      /^https:\/\/europe-west4-aiplatform\.googleapis\.com/,
    ],
    ['adapter: vertex, api_key: k', /^https:\/\/aiplatform\.googleapis\.com/],
  ] as const) {
    it(`is known: ${text}`, () => assert.match(providerOf(`{ ${text} }`).baseUrl, url));
  }

  it('is its base URL where there is one', () => {
    for (const [adapter, needed] of Object.entries(RIGHT)) {
      const rest = adapter === 'azure' ? '' : `${needed}, `;
      const provider = providerOf(`{ adapter: ${adapter}, ${rest}base_url: "http://127.0.0.1:9/x/" }`);
      assert.equal(provider.baseUrl, 'http://127.0.0.1:9/x', adapter);
    }
  });
});

describe('the region of bedrock', () => {
  it('is that of the environment where none is given', () => {
    assert.equal(providerOf('{ adapter: bedrock }', { AWS_REGION: 'eu-west-1' }).region, 'eu-west-1');
    assert.equal(providerOf('{ adapter: bedrock }', { AWS_DEFAULT_REGION: 'eu-west-2' }).region, 'eu-west-2');
    const both = { AWS_REGION: '', AWS_DEFAULT_REGION: 'us-gov-east-1' };
    assert.equal(providerOf('{ adapter: bedrock, region: "" }', both).region, 'us-gov-east-1');
    const first = { AWS_REGION: 'eu-west-1', AWS_DEFAULT_REGION: 'eu-west-2' };
    assert.equal(providerOf('{ adapter: bedrock }', first).region, 'eu-west-1');
    assert.equal(providerOf('{ adapter: bedrock, region: us-east-1 }', first).region, 'us-east-1');
  });

  it('is that of the base URL, before that of the environment', () => {
    for (const host of [
      'bedrock-runtime.eu-west-1.amazonaws.com',
      'bedrock-runtime-fips.eu-west-1.amazonaws.com',
      'vpce-0123-abc.bedrock-runtime.eu-west-1.vpce.amazonaws.com',
      'bedrock-mantle.eu-west-1.api.aws',
    ]) {
      const provider = providerOf(`{ adapter: bedrock, base_url: "https://${host}" }`, {
        AWS_REGION: 'us-east-1',
      });
      assert.equal(provider.region, 'eu-west-1', host);
    }
  });

  it('is missed where nothing tells it, and where requests have to be signed for one', () => {
    assert.equal(
      problemOf('{ adapter: bedrock }'),
      'providers.a.region: missing; `adapter: bedrock` needs one, such as us-east-1 (or AWS_REGION or AWS_DEFAULT_REGION in the environment)',
    );
    assert.match(
      problemOf('{ adapter: bedrock, api_key: k }'),
      /region: missing; `adapter: bedrock` needs one/,
    );
    assert.equal(
      problemOf('{ adapter: bedrock, base_url: "http://127.0.0.1:9" }'),
      'providers.a.region: missing; `adapter: bedrock` needs one, such as us-east-1, for its requests are signed for a region (or AWS_REGION or AWS_DEFAULT_REGION in the environment)',
    );
    assert.equal(providerOf('{ adapter: bedrock, api_key: k, base_url: "http://127.0.0.1:9" }').region, null);
  });

  it('has the form of one, for it becomes part of a name of a host', () => {
    for (const region of ['"evil.example/#"', 'us', 'US-EAST-1', 'us-east-1.evil', '"us-east-1\\n"'])
      assert.match(
        problemOf(`{ adapter: bedrock, region: ${region} }`),
        /region: expected a region such as us-east-1, found/,
      );
    assert.equal(
      problemOf('{ adapter: bedrock }', { AWS_REGION: 'evil.example/#' }),
      'providers.a.region: missing, and AWS_REGION or AWS_DEFAULT_REGION of the environment is not a region such as us-east-1',
    );
    for (const region of [
      'us-east-1',
      'us-gov-west-1',
      'ap-southeast-4',
      'us-iso-east-1',
      'eusc-de-east-1',
      'cn-north-1',
    ])
      assert.equal(providerOf(`{ adapter: bedrock, region: ${region} }`).region, region);
  });
});

describe('the resource of azure', () => {
  it('is missed where there is no base URL either', () => {
    for (const text of ['{ adapter: azure }', '{ adapter: azure, resource: "" }'])
      assert.equal(
        problemOf(text),
        'providers.a.resource: missing; `adapter: azure` needs `resource` or `base_url`',
      );
  });

  it('is of no use beside a base URL, which is a warning', () => {
    const loaded = load(file('{ adapter: azure, resource: r, base_url: "http://127.0.0.1:9" }'));
    assert.ok(loaded.ok);
    assert.deepEqual(
      loaded.warnings.map(({ path, message }) => `${path}: ${message}`),
      ['providers.a.resource: has no effect beside `base_url`'],
    );
  });

  it('has deployments, each with a name', () => {
    const provider = providerOf(
      '{ adapter: azure, resource: r, api_version: 2025-01-01-preview, deployments: { gpt-6-sol: mine, gpt-6-luna: "${D}" } }',
      { D: 'small' },
    );
    assert.deepEqual(provider.deployments, { 'gpt-6-sol': 'mine', 'gpt-6-luna': 'small' });
    assert.equal(provider.apiVersion, '2025-01-01-preview');
    assert.match(
      problemOf('{ adapter: azure, resource: r, deployments: { m: "" } }'),
      /deployments\.m: expected a text that is not empty/,
    );
    assert.match(
      problemOf('{ adapter: azure, resource: r, deployments: [m] }'),
      /deployments: expected a map/,
    );
  });

  it('and its version have the form of one', () => {
    assert.match(
      problemOf('{ adapter: azure, resource: "https://r.openai.azure.com" }'),
      /resource: expected the name of a resource/,
    );
    assert.match(problemOf('{ adapter: azure, resource: a.b }'), /resource: expected the name of a resource/);
    assert.match(
      problemOf('{ adapter: azure, resource: r, api_version: "1&x=2" }'),
      /api_version: expected a version such as/,
    );
  });
});

describe('the project of vertex', () => {
  it('is missed where there is no key either', () => {
    for (const text of ['{ adapter: vertex }', '{ adapter: vertex, project: "", location: eu }'])
      assert.equal(
        problemOf(text),
        'providers.a.project: missing; `adapter: vertex` needs a project, or an `api_key` of the express mode',
      );
    assert.equal(providerOf('{ adapter: vertex, api_key: k }').project, null);
  });

  it('and its location have the form of one', () => {
    assert.match(problemOf('{ adapter: vertex, project: "a/b" }'), /project: expected the id of a project/);
    assert.match(
      problemOf('{ adapter: vertex, project: p, location: "eu/x" }'),
      /location: expected a location such as global/,
    );
    assert.equal(
      providerOf('{ adapter: vertex, project: "example.com:p", location: us-central1 }').project,
      'example.com:p',
    );
  });
});

describe('without secrets', () => {
  it('nothing is said of what the environment may still tell', () => {
    assert.deepEqual(problemsWithoutSecrets('{ adapter: bedrock }'), []);
    assert.deepEqual(problemsWithoutSecrets('{ adapter: bedrock, region: "${REGION}" }'), []);
    assert.deepEqual(
      problemsWithoutSecrets('{ adapter: azure, resource: "${RESOURCE}", api_version: "${V}" }'),
      [],
    );
    assert.deepEqual(problemsWithoutSecrets('{ adapter: vertex, project: "${P}", location: "${L}" }'), []);
    assert.deepEqual(problemsWithoutSecrets('{ adapter: vertex, api_key: "${K:-}" }'), []);
  });

  it('what is missing for certain is told', () => {
    assert.equal(problemsWithoutSecrets('{ adapter: azure }').length, 1);
    assert.equal(problemsWithoutSecrets('{ adapter: vertex }').length, 1);
    assert.equal(problemsWithoutSecrets('{ adapter: bedrock, region: nowhere }').length, 1);
  });
});

describe('what comes from the environment', () => {
  it('is told as it is written', () => {
    for (const text of [
      '{ adapter: bedrock, region: "${SECRET}" }',
      '{ adapter: azure, resource: "${SECRET}" }',
      '{ adapter: azure, resource: r, api_version: "${SECRET}" }',
      '{ adapter: vertex, project: "${SECRET}" }',
      '{ adapter: vertex, project: p, location: "${SECRET}" }',
    ]) {
      const told = problemOf(text, { SECRET: 'hunter2 DO NOT SHOW' });
      assert.ok(told.includes('${SECRET}') && !told.includes('hunter2'), told);
    }
    const told = problemOf('{ adapter: bedrock }', { AWS_REGION: 'hunter2 DO NOT SHOW' });
    assert.ok(!told.includes('hunter2'), told);
  });
});
