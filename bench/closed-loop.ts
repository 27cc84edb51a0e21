/** A number of connections, each sending its next request when it has its answer: wrk, or this process. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type Answer, type Asked, Connection, requestBytes } from './client.ts';
import { startLoader } from './process.ts';

export interface LoopResult {
  requests: number;
  seconds: number;
  bytes: number;
  /** Answered with something else than was asked for. */
  refused: number;
  /** Those, and such as were not answered. */
  failed: number;
}

export type Loader = (asked: Asked, connections: number, seconds: number) => Promise<LoopResult>;

/** So many have been given a file with their body: several work at once. */
let bodies = 0;

/** wrk if it is installed. */
export function chooseLoader(scratch: string): { name: string; load: Loader } {
  if (spawnSync('wrk', ['-v']).error)
    return { name: 'our own loader (wrk is not installed)', load: ownLoader };
  return {
    name: 'wrk -t1',
    load: (asked, connections, seconds) => wrk(scratch, asked, connections, seconds),
  };
}

async function wrk(scratch: string, asked: Asked, connections: number, seconds: number): Promise<LoopResult> {
  const bodyFile = join(scratch, `body-${++bodies}.json`);
  writeFileSync(bodyFile, asked.body);
  const headers = { 'content-type': 'application/json', ...asked.headers };
  const child = startLoader(
    'wrk',
    ['-t1', `-c${connections}`, `-d${seconds}s`, '-s', join(import.meta.dirname, 'wrk.lua'), asked.url],
    {
      env: {
        ...process.env,
        BENCH_BODY: bodyFile,
        BENCH_HEADERS: Object.entries(headers)
          .map(([name, value]) => `${name}: ${value}`)
          .join('\n'),
      },
      timeout: (seconds + 10) * 1000,
    },
  );
  const [output] = await Promise.all([text(child.stdout), once(child, 'exit')]).finally(() =>
    rmSync(bodyFile),
  );
  const line = output.split('\n').find((one) => one.startsWith('{"requests"'));
  if (line === undefined) throw new Error(`wrk said nothing that helps: ${output.slice(0, 300)}`);
  const { requests, micros, bytes, refused, failed } = JSON.parse(line) as Record<string, number>;
  return {
    requests: requests ?? 0,
    seconds: (micros ?? 0) / 1e6,
    bytes: bytes ?? 0,
    refused: refused ?? 0,
    failed: failed ?? 0,
  };
}

async function ownLoader(asked: Asked, connections: number, seconds: number): Promise<LoopResult> {
  const request = requestBytes(asked);
  const port = Number(new URL(asked.url).port);
  const result: LoopResult = { requests: 0, seconds: 0, bytes: 0, refused: 0, failed: 0 };
  const start = performance.now();
  const end = start + seconds * 1000;
  const oneAfterTheOther = (): Promise<void> =>
    new Promise((resolve) => {
      let connection = new Connection(port);
      const next = () => {
        if (connection.broken) connection = new Connection(port);
        connection.ask(request, onAnswer);
      };
      const onAnswer = (answer: Answer) => {
        result.requests++;
        result.bytes += answer.bytes;
        if (!answer.ok) result.failed++;
        if (!answer.ok && !connection.broken) result.refused++;
        if (performance.now() >= end) {
          connection.close();
          resolve();
        } else setImmediate(next);
      };
      next();
    });
  await Promise.all(Array.from({ length: connections }, oneAfterTheOther));
  result.seconds = (performance.now() - start) / 1000;
  return result;
}
