// For the Dockerfile: starts the gateway once with everything that a configuration can bring in, waits until it listens, and stops it. That
// shows that nothing is missing, and leaves behind what Node has compiled, for the next start.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Milliseconds. */
const LONGEST = 60_000;

/** The cloud vendors' libraries are brought in where there is no key; the Redis need not be there. */
const CONFIGURATION = `
version: 1
auth: none
state: { redis: "redis://127.0.0.1:1" }
providers:
  azure: { adapter: azure, resource: none }
  bedrock: { adapter: bedrock, region: us-east-1 }
  vertex: { adapter: vertex, project: none }
models:
  any:
    strategy: { mode: fallback }
    targets:
      - { provider: azure, model: gpt-5.2 }
      - { provider: bedrock, model: amazon.nova-pro-v1:0 }
      - { provider: vertex, model: gemini-3.5-flash }
`;

const directory = mkdtempSync(join(tmpdir(), 'spillway-'));
try {
  const file = join(directory, 'spillway.yaml');
  writeFileSync(file, CONFIGURATION);
  const anyPort = '127.0.0.1:0';
  const args = ['bin/spillway.js', 'serve', '--config', file, '--listen', anyPort, '--admin', anyPort];
  const gateway = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: LONGEST,
    killSignal: 'SIGKILL',
  });
  const ended = new Promise<number | null>((resolve) => gateway.on('close', resolve));
  let log = '';
  for await (const text of gateway.stdout.setEncoding('utf8')) {
    const wasListening = log.includes('"listening"');
    log += text;
    if (!wasListening && log.includes('"listening"')) gateway.kill('SIGTERM');
  }
  const status = await ended;
  if (status !== 0 || !log.includes('"listening"')) {
    process.stderr.write(`${log}\nthe gateway ended with status ${status}\n`);
    process.exitCode = 1;
  }
} finally {
  rmSync(directory, { recursive: true });
}
