import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { PATHS } from '../loads.ts';
import { accepts, freePort, Running } from '../process.ts';
import type { Launch, Started } from './start.ts';

export async function startPortkey({ upstream, scratch, label, node, env }: Launch): Promise<Started> {
  const peers = join(import.meta.dirname, '../peers');
  const main = join(peers, 'node_modules/@portkey-ai/gateway/build/start-server.js');
  if (!existsSync(main)) {
    process.stderr.write('portkey: installing it under bench/peers/ ...\n');
    const npm = spawnSync('npm', ['ci', '--prefix', peers, '--ignore-scripts', '--no-audit', '--no-fund'], {
      encoding: 'utf8',
      timeout: 120_000,
    });
    if (npm.status !== 0) throw new Error(`npm ci failed: ${(npm.stderr ?? '').trim().split('\n').at(-1)}`);
  }
  const port = await freePort();
  const running = new Running({
    command: process.execPath,
    args: [...node, main, '--headless', `--port=${port}`],
    env: { NODE_ENV: 'production', TRUSTED_CUSTOM_HOSTS: '127.0.0.1,localhost', ...env },
    logFile: join(scratch, `${label}.log`),
  });
  await running.ready(() => accepts(port));
  const headers = {
    authorization: 'Bearer sk-bench',
    'x-portkey-provider': 'openai',
    'x-portkey-custom-host': `${upstream}/v1`,
  };
  return {
    running,
    url: (dialect) => `http://127.0.0.1:${port}${PATHS[dialect]}`,
    headers,
    otherHeaders: headers,
    stop: (patience) => running.stop(patience),
  };
}
