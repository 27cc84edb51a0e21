import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PATHS } from '../loads.ts';
import { accepts, freePort, Running } from '../process.ts';
import type { Launch, Started } from './start.ts';

export async function startNginx({ upstream, scratch, label }: Launch): Promise<Started> {
  if (spawnSync('nginx', ['-v']).error) throw new Error('nginx is not installed');
  const port = await freePort();
  const prefix = join(scratch, label);
  mkdirSync(prefix, { recursive: true });
  const config = join(prefix, 'nginx.conf');
  writeFileSync(config, nginxConfig(port, upstream.replace('http://', ''), prefix));
  const running = new Running({
    command: 'nginx',
    args: ['-p', prefix, '-c', config, '-e', join(prefix, 'error.log')],
    logFile: join(scratch, `${label}.log`),
  });
  await running.ready(() => accepts(port));
  const origin = `http://127.0.0.1:${port}`;
  return {
    running,
    url: (dialect, streamed) => `${origin}${streamed ? '/stream' : '/plain'}${PATHS[dialect]}`,
    headers: {},
    otherHeaders: {},
    stop: (patience) => running.stop(patience),
  };
}

/** One process. Bodies stay in memory; streams are not buffered. A stream takes two connections. */
function nginxConfig(port: number, upstream: string, prefix: string): string {
  return `
daemon off;
master_process off;
worker_processes 1;
pid ${prefix}/nginx.pid;
events { worker_connections 16384; }
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
