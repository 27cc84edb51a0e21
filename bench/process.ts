/** Processes of the bench: started, told apart when ready, measured through /proc, ended. Linux only. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, truncateSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { dirname } from 'node:path';

/** Ticks a second that /proc counts CPU in: 100 on every Linux that Node runs on. */
const TICKS = 100;
const START_TIMEOUT_MS = 20_000;
/** Finer than what one start differs from the next by. */
const LOOK_EVERY_MS = 5;

export interface Program {
  command: string;
  args: string[];
  env?: Record<string, string>;
  /** Where its output goes. It is emptied from time to time: what a bench logs adds up. */
  logFile: string;
}

const everyone = new Set<Running>();
/** That end by themselves, unless the bench ends before. */
const loaders = new Set<ChildProcess>();
let over = false;

/** Ends all that was started and has not ended. Nothing starts any more. */
export async function stopAll(): Promise<void> {
  over = true;
  for (const loader of loaders) loader.kill('SIGKILL');
  await Promise.all([...everyone].map((running) => running.stop()));
}

/** A process that brings load, and says what came of it. */
export function startLoader(
  command: string,
  args: string[],
  options: { env: NodeJS.ProcessEnv; timeout: number },
) {
  if (over) throw new Error('the bench is over');
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'inherit'] });
  loaders.add(child);
  child.once('exit', () => loaders.delete(child));
  return child;
}

export class Running {
  readonly #child: ChildProcess;
  readonly #logFile: string;
  /** Not another program. */
  readonly isNode: boolean;
  readonly #startedAt = performance.now();
  #readyAfter = Number.NaN;

  constructor(program: Program) {
    if (over) throw new Error('the bench is over');
    mkdirSync(dirname(program.logFile), { recursive: true });
    const log = openSync(program.logFile, 'a');
    this.#logFile = program.logFile;
    this.isNode = program.command === process.execPath;
    this.#child = spawn(program.command, program.args, {
      env: { ...process.env, ...program.env },
      stdio: ['ignore', log, log],
    });
    this.#child.on('error', () => {});
    closeSync(log);
    everyone.add(this);
  }

  get log(): string {
    return readFileSync(this.#logFile, 'utf8');
  }

  /** From its start until `ready` found what it looked for. */
  get readyAfterMs(): number {
    return this.#readyAfter;
  }

  get ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null || this.#child.pid === undefined;
  }

  emptyLog(): void {
    truncateSync(this.#logFile);
  }

  /** Resolves to what `look` finds; rejects when the process has ended or takes too long. */
  async ready<T>(look: () => Promise<T | undefined> | T | undefined): Promise<T> {
    const giveUp = performance.now() + START_TIMEOUT_MS;
    for (;;) {
      const found = await look();
      if (found !== undefined) {
        this.#readyAfter = performance.now() - this.#startedAt;
        return found;
      }
      if (this.ended) {
        throw new Error(`it ended at once: ${firstLines(this.log)}`);
      }
      if (performance.now() > giveUp) throw new Error(`it did not get ready: ${firstLines(this.log)}`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  }

  /** The address in the `"msg":"listening"` line that it logs. */
  listening(): Promise<string> {
    return this.ready(() => {
      for (const line of this.log.split('\n')) {
        if (!line.includes('"listening"')) continue;
        const { listen } = JSON.parse(line) as { listen?: string };
        if (listen !== undefined) return listen;
      }
      return undefined;
    });
  }

  /** The process and everything that it started. */
  pids(): number[] {
    return family(this.#child.pid as number);
  }

  /** Of all of them. */
  usage(): Usage {
    const pids = this.pids();
    return {
      cpuSeconds: sum(pids, cpuSeconds),
      rssBytes: sum(pids, rssBytes),
      reads: sum(pids, reads),
    };
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async stop(patienceMs = 3000): Promise<void> {
    if (this.ended) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    const patience = setTimeout(() => this.#child.kill('SIGKILL'), patienceMs);
    await ended;
    clearTimeout(patience);
  }
}

export interface Usage {
  /** User and system time since the start, of all threads. */
  cpuSeconds: number;
  rssBytes: number;
  /** read() calls since the start, from /proc/PID/io: how far events of a stream were read apart. 0 if the kernel does not count them. */
  reads: number;
}

function firstLines(text: string): string {
  return text.trim().split('\n').slice(0, 5).join(' | ').slice(0, 600) || '(it said nothing)';
}

function sum(pids: readonly number[], of: (pid: number) => number): number {
  let total = 0;
  for (const pid of pids) {
    try {
      total += of(pid);
    } catch {
      // It has ended meanwhile, or the kernel does not tell.
    }
  }
  return total;
}

/** The fields of /proc/PID/stat after the name (which may hold anything): the first one here is the state. */
function stat(pid: number): string[] {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

/** In nanoseconds where the kernel tells (summed over the threads), else in ticks of 10 ms. */
function cpuSeconds(pid: number): number {
  const tasks = `/proc/${pid}/task`;
  if (existsSync(`${tasks}/${pid}/schedstat`)) {
    const nanoseconds = (tid: number) =>
      Number(readFileSync(`${tasks}/${tid}/schedstat`, 'latin1').split(' ')[0]);
    return sum(readdirSync(tasks).map(Number), nanoseconds) / 1e9;
  }
  const fields = stat(pid);
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}

function rssBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) * 1024;
}

function reads(pid: number): number {
  return Number(/syscr: (\d+)/.exec(readFileSync(`/proc/${pid}/io`, 'latin1'))?.[1] ?? 0);
}

function family(root: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      parents.set(Number(name), Number(stat(Number(name))[1]));
    } catch {
      // It has ended meanwhile.
    }
  }
  const found = [root];
  for (const pid of found) {
    for (const [child, parent] of parents) if (parent === pid) found.push(child);
  }
  return found;
}

/** A port that was free a moment ago, for programs that cannot choose one themselves. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** True if something accepts connections there. */
export function accepts(port: number): Promise<true | undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(undefined));
  });
}
