/** The gateway as its users run it: a process of its own, with `config/demo.yaml`. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const ROOT = join(import.meta.dirname, '..');

/** A line of the gateway's log. */
export type LogLine = Record<string, unknown> & { level: number; msg: string };

export interface Gateway {
  /** The client listener's origin. */
  url: string;
  admin: string;
  /** Resolves when the process has ended, for whatever reason, with how. */
  ended: Promise<string>;
  stop(): Promise<void>;
}

/** Starts it on its usual ports, or on free ones where those are taken. `onLine` is given what it logs. */
export async function startGateway(
  environment: Record<string, string>,
  onLine: (line: LogLine) => void,
): Promise<Gateway> {
  const listen = `127.0.0.1:${await freePort(8080)}`;
  const admin = `127.0.0.1:${await freePort(9090)}`;
  // Out of the terminal's process group: Ctrl-C is for the demo, which tells the gateway.
  const child = spawn(
    process.execPath,
    ['src/main.ts', '--config', 'config/demo.yaml', '--listen', listen, '--admin', admin],
    {
      cwd: ROOT,
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    },
  );
  // However the demo ends, the gateway does not stay behind.
  process.once('exit', () => child.kill('SIGKILL'));
  const ended = once(child, 'exit').then(([code, signal]) => String(signal ?? code));
  const listening = new Promise<LogLine>((resolve, reject) => {
    createInterface(child.stdout).on('line', (text) => {
      const line = JSON.parse(text) as LogLine;
      if (line.msg === 'listening') resolve(line);
      else onLine(line);
    });
    void ended.then((how) => reject(new Error(`the gateway did not start (${how})`)));
  });
  const urls = await listening;
  return {
    url: String(urls['listen']),
    admin: String(urls['admin']),
    ended,
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/** `wanted` if nobody listens there, else 0: a free one. */
async function freePort(wanted: number): Promise<number> {
  const probe = createServer();
  try {
    probe.listen(wanted, '127.0.0.1');
    await once(probe, 'listening');
    return wanted;
  } catch {
    return 0;
  } finally {
    if (probe.listening) {
      probe.close();
      await once(probe, 'close');
    }
  }
}
