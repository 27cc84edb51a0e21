/** The rows of the table: how each gateway is started in front of the stand-in upstream, and how it is spoken to. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findRedis } from '../tools/redis/find.ts';
import { accepts, freePort, Running } from './process.ts';

const HERE = import.meta.dirname;
const PATH = '/v1/chat/completions';

export interface Contestant {
  name: string;
  title: string;
  /** Throws an Error whose message says why it cannot take part. */
  start(upstream: string, scratch: string): Promise<Started>;
}

export interface Started {
  running: Running;
  url(streamed: boolean): string;
  headers: Record<string, string>;
}

export const CONTESTANTS: readonly Contestant[] = [
  { name: 'nginx', title: 'nginx, proxy_pass, keep-alive', start: startNginx },
  { name: 'http', title: 'node:http + undici stream(), nothing else', start: startRelay('http') },
  {
    name: 'fastify',
    title: 'Fastify + undici request() + JSON.parse, nothing else',
    start: startRelay('fastify'),
  },
  { name: 'portkey', title: 'Portkey gateway 1.15.2', start: startPortkey },
  { name: 'spillway', title: 'Spillway, everything on, two quotas', start: startSpillway({}) },
  { name: 'redis', title: 'the same, counted in Redis', start: startSpillway({ redis: true }) },
  {
    name: 'tenants',
    title: 'the same as `spillway`, with a thousand tenants',
    start: startSpillway({ tenants: 1000 }),
  },
];

function startRelay(name: string): Contestant['start'] {
  return async (upstream, scratch) => {
    const running = new Running({
      command: process.execPath,
      args: [join(HERE, 'relays', `${name}.ts`), upstream],
      env: { NODE_ENV: 'production' },
      logFile: join(scratch, `${name}.log`),
    });
    const origin = await running.listening();
    return { running, url: () => origin + PATH, headers: {} };
  };
}

async function startNginx(upstream: string, scratch: string): Promise<Started> {
  if (spawnSync('nginx', ['-v']).error) throw new Error('nginx is not installed');
  const port = await freePort();
  const prefix = join(scratch, 'nginx');
  mkdirSync(prefix, { recursive: true });
  const config = join(prefix, 'nginx.conf');
  writeFileSync(config, nginxConfig(port, upstream.replace('http://', ''), prefix));
  const running = new Running({
    command: 'nginx',
    args: ['-p', prefix, '-c', config, '-e', join(prefix, 'error.log')],
    logFile: join(scratch, 'nginx.log'),
  });
  await running.ready(() => accepts(port));
  const origin = `http://127.0.0.1:${port}`;
  return { running, url: (streamed) => `${origin}${streamed ? '/stream' : '/plain'}${PATH}`, headers: {} };
}

/** One process. Bodies stay in memory; streams are not buffered. */
function nginxConfig(port: number, upstream: string, prefix: string): string {
  return `
daemon off;
master_process off;
worker_processes 1;
pid ${prefix}/nginx.pid;
events { worker_connections 4096; }
http {
  access_log off;
  client_max_body_size 4m;
  client_body_buffer_size 4m;
  client_body_temp_path ${prefix}/body;
  proxy_temp_path ${prefix}/proxy;
  fastcgi_temp_path ${prefix}/fastcgi;
  uwsgi_temp_path ${prefix}/uwsgi;
  scgi_temp_path ${prefix}/scgi;
  keepalive_requests 100000000;
  upstream standin { server ${upstream}; keepalive 512; keepalive_requests 100000000; }
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location /plain/ { proxy_pass http://standin/; }
    location /stream/ { proxy_pass http://standin/; proxy_buffering off; }
  }
}
`;
}

async function startPortkey(upstream: string, scratch: string): Promise<Started> {
  const peers = join(HERE, 'peers');
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
    args: [main, '--headless', `--port=${port}`],
    env: { NODE_ENV: 'production', TRUSTED_CUSTOM_HOSTS: '127.0.0.1,localhost' },
    logFile: join(scratch, 'portkey.log'),
  });
  await running.ready(() => accepts(port));
  return {
    running,
    url: () => `http://127.0.0.1:${port}${PATH}`,
    headers: {
      authorization: 'Bearer sk-bench',
      'x-portkey-provider': 'openai',
      'x-portkey-custom-host': `${upstream}/v1`,
    },
  };
}

/** What differs from `spillway.yaml`. */
interface Variant {
  /** Counts in a Redis of its own. */
  redis?: boolean;
  /** So many tenants beside the one that asks. */
  tenants?: number;
}

function startSpillway({ redis = false, tenants = 0 }: Variant): Contestant['start'] {
  return async (upstream, scratch) => {
    const main = join(HERE, '../src/main.ts');
    const name = redis ? 'redis' : `spillway-${tenants}`;
    const config = join(scratch, `${name}.yaml`);
    writeFileSync(config, readFileSync(join(HERE, 'spillway.yaml'), 'utf8') + moreTenants(tenants));
    const key = `sk-bench-${randomBytes(16).toString('hex')}`;
    const store = redis ? await startRedis(scratch) : '';
    const running = new Running({
      command: process.execPath,
      args: [main, '--config', config, '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0'],
      env: { NODE_ENV: 'production', BENCH_UPSTREAM: upstream, BENCH_KEY: key, BENCH_REDIS: store },
      logFile: join(scratch, `${name}.log`),
    });
    const origin = await running.listening();
    return { running, url: () => origin + PATH, headers: { authorization: `Bearer ${key}` } };
  };
}

function moreTenants(count: number): string {
  const tenants = Array.from({ length: count }, (_, index) => {
    const sha256 = randomBytes(32).toString('hex');
    const quotas = '[{ limit: 1000, of: requests, per: minute }, { limit: 1000000, of: tokens, per: hour }]';
    return `  - { id: tenant-${index}, keys: [{ id: only, sha256: "${sha256}" }], quotas: ${quotas} }\n`;
  });
  return tenants.join('');
}

/** One process without a file, on this machine: what is measured is what it costs the gateway to ask. */
async function startRedis(scratch: string): Promise<string> {
  const server = await findRedis();
  const port = await freePort();
  const running = new Running({
    command: server,
    args: [
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--save',
      '',
      '--appendonly',
      'no',
      '--dir',
      scratch,
    ],
    logFile: join(scratch, 'redis-server.log'),
  });
  await running.ready(() => accepts(port));
  return `redis://127.0.0.1:${port}`;
}
