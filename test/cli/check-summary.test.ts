import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cli } from './helpers.ts';
import { writeTemporary } from './temporary.ts';

const QUOTAS = '[{ limit: 5, of: requests, per: day }, { limit: 5, of: concurrent }]';
const FILE = `version: 1
providers: { one: { adapter: vllm, base_url: "http://127.0.0.1:1/v1" } }
models: { m: { provider: one } }
`;

const KINDS: Record<string, [state: string, said: string]> = {
  'no Redis': ['', 'in this process'],
  'one Redis': ['state: { redis: "${REDIS_URL}" }\n', 'Redis; while it is away: local'],
  'one Redis, denying': [
    'state: { redis: "${REDIS_URL}", on_outage: deny }\n',
    'Redis; while it is away: deny',
  ],
  'a cluster': [
    'state: { redis: ["${REDIS_URL}", "redis://other:6379"], on_outage: allow }\n',
    'Redis Cluster; while it is away: allow',
  ],
  sentinels: [
    'state: { redis: { sentinels: ["10.0.0.1:26379"], name: mymaster, password: "${PASSWORD}" } }\n',
    'Redis behind sentinels; while it is away: local',
  ],
};
const ENV = { REDIS_URL: 'redis://ann:very-secret@somewhere:6379', PASSWORD: 'very-secret' };

for (const [name, [state, said]] of Object.entries(KINDS)) {
  test(`check says where counts are kept, without addresses and secrets: ${name}`, async (t) => {
    const { status, out, err } = await cli(['check', writeTemporary(t, `${FILE}auth: none\n${state}`)], ENV);
    assert.equal(status, 0, err);
    assert.match(out, new RegExp(`^ {2}state {8}${said}$`, 'm'));
    assert.doesNotMatch(out, /secret|somewhere|10\\.0/);
  });
}

test('check says how many quotas each tenant has, those of its keys included', async (t) => {
  const tenants = `tenants:
  - { id: acme, quotas: ${QUOTAS}, keys: [{ id: ci, key: sw-one, quotas: ${QUOTAS} }, { id: b, key: sw-two }] }
  - { id: free, keys: [{ id: ci, key: sw-three }] }
  - { id: small, keys: [{ id: ci, key: sw-four, quotas: [{ limit: 1, of: concurrent }] }] }
`;
  const { status, out, err } = await cli(['check', writeTemporary(t, FILE + tenants)], ENV);
  assert.equal(status, 0, err);
  assert.match(out, /^ {2}quotas {7}acme: 4, small: 1$/m);
});

test('check says of a file without quotas that there are none', async (t) => {
  const { status, out, err } = await cli(['check', writeTemporary(t, `${FILE}auth: none\n`)], ENV);
  assert.equal(status, 0, err);
  assert.match(out, /^ {2}quotas {7}-$/m);
});
