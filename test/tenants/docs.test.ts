/** The commands of docs/tenants.md, run as they stand there against a gateway. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { promisify } from 'node:util';
import { serve } from '../server/helpers.ts';

const TEXT = readFileSync(join(import.meta.dirname, '../../docs/tenants.md'), 'utf8');
const ADMIN = 'http://127.0.0.1:9090';
const TOKEN = 'admin-token-0123456789';
/** Between what one block writes and the next. */
const MARK = '=== next ===';

/** The names of all fields, at all depths. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shapeOf);
  if (typeof value !== 'object' || value === null) return null;
  return Object.fromEntries(Object.entries(value).map(([name, inside]) => [name, shapeOf(inside)]));
}

it('docs/tenants.md: its commands work, and answer what it shows', async (t) => {
  const { gateway, upstream } = await serve(t, {
    auth: 'keys',
    admin: { listen: '127.0.0.1:0', token: TOKEN },
  });
  gateway.changeConfig({
    auth: 'keys',
    admin: { listen: '127.0.0.1:0', token: TOKEN },
    providers: { a: { adapter: 'vllm', base_url: upstream.url } },
    models: { smart: { provider: 'a', model: 'up' } },
  });
  const headers = { authorization: `Bearer ${TOKEN}` };
  await fetch(`${gateway.admin}/admin/reload`, { method: 'POST', headers });

  const blocks = [...TEXT.matchAll(/```sh\n(.*?)```\n(?:\n```json\n(.*?)```)?/gs)];
  assert.ok(TEXT.includes(ADMIN));
  const commands = blocks.map(([, sh = '']) => sh.replaceAll(ADMIN, gateway.admin));
  const script = [
    'set -e',
    'curl() { command curl -S --fail-with-body --noproxy "*" "$@"; echo; }',
    commands.join(`\necho '${MARK}'\n`),
  ].join('\n');
  const env = { PATH: process.env['PATH'] ?? '', SPILLWAY_ADMIN_TOKEN: TOKEN };
  const { stdout } = await promisify(execFile)('/bin/sh', ['-c', script], { env });
  const outputs = stdout.split(MARK);
  assert.equal(outputs.length, blocks.length);
  for (const [index, [, sh = '', json]] of blocks.entries()) {
    if (json === undefined) continue;
    assert.deepEqual(shapeOf(JSON.parse(outputs[index] ?? '')), shapeOf(JSON.parse(json)), sh);
  }
  const rotated = gateway.logs.find(({ message }) => message === 'key rotated');
  const [, line = ''] = /```json\n(\{"level".*?)\n```/.exec(TEXT) ?? [];
  const { level: _, time: __, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  assert.equal(msg, 'key rotated');
  assert.deepEqual(Object.keys(rotated?.fields ?? {}), Object.keys(fields));
});
