/** The gateway as its users run it: a process of its own, told to do things by signals, and heard by what it writes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export type LogLine = Readonly<Record<string, unknown>> & { level: number; msg: string };

export interface ProcessOptions {
  /** The program's file; `src/main.ts` unless said. */
  program?: string;
  /** After the program. `CONFIG` stands for the file's path; unless said: `--config CONFIG`. */
  args?: readonly string[];
  env?: Record<string, string>;
  /** Before the program: arguments for Node. */
  nodeArgs?: readonly string[];
  /** Where it runs; the project unless said. */
  cwd?: string;
  /** In a process group of its own, as a shell starts it. */
  ownGroup?: boolean;
  /** Where its standard output goes; a pipe unless said. Heard either way. */
  outputTo?: 'file';
}

interface CleansUp {
  after(cleanUp: () => Promise<void>): void;
}

/** At a file that is written to. Milliseconds. */
const LOOK_EVERY = 20;

/** A directory of its own, gone after the test. */
export function temporaryDirectory(t: CleansUp): string {
  const directory = mkdtempSync(join(tmpdir(), 'spillway-test-'));
  t.after(async () => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export class GatewayProcess {
  readonly child: ChildProcess;
  /** The configuration's path. */
  readonly file: string;
  /** All that it wrote, as text. */
  stdout = '';
  stderr = '';
  readonly lines: LogLine[] = [];
  /** Resolves when it has ended and all that it wrote has been read. */
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  #over = false;
  #waiting: (() => void)[] = [];

  /** `output`: the file that it writes to, where that is no pipe. */
  constructor(child: ChildProcess, file: string, output: string | null) {
    this.child = child;
    this.file = file;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#heard(text));
    const look = () => {
      if (output !== null) this.#heard(readFileSync(output, 'utf8').slice(this.stdout.length));
    };
    const looking = setInterval(look, LOOK_EVERY);
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
      this.#wake();
    });
    this.ended = new Promise((resolve) => {
      child.on('close', (code, signal) => {
        clearInterval(looking);
        look();
        this.#over = true;
        this.#wake();
        resolve({ code, signal });
      });
    });
  }

  /** The first line with this message, from the one at `from` on; fails if the process ends without. */
  line(message: string, from = 0): Promise<LogLine> {
    return this.#until(() => this.lines.slice(from).find(({ msg }) => msg === message));
  }

  /** Resolves to the lines of requests when there are so many. */
  requests(count: number): Promise<LogLine[]> {
    return this.#until(() => {
      const found = this.lines.filter(({ msg }) => msg === 'request');
      return found.length >= count ? found : undefined;
    });
  }

  /** Where it listens, as soon as it does. */
  async listening(): Promise<{ listen: string; admin: string }> {
    return (await this.line('listening')) as unknown as { listen: string; admin: string };
  }

  writeConfig(config: object): void {
    writeFileSync(this.file, JSON.stringify(config, null, 2));
  }

  #heard(text: string): void {
    this.stdout += text;
    const complete = this.stdout.split('\n').slice(this.lines.length, -1);
    for (const line of complete) this.lines.push(JSON.parse(line) as LogLine);
    this.#wake();
  }

  async #until<T>(look: () => T | undefined): Promise<T> {
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      if (this.#over) throw new Error(`the process ended: ${this.stdout}${this.stderr}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** A configuration with free ports, to put the rest into. */
export function onFreePorts(config: object): object {
  return { version: 1, listen: '127.0.0.1:0', admin: { listen: '127.0.0.1:0' }, auth: 'none', ...config };
}

/** Starts the gateway with this configuration; a text is written as it is. Killed after the test if it still runs. */
export function startProcess(
  t: CleansUp,
  config: object | string,
  options: ProcessOptions = {},
): GatewayProcess {
  const directory = temporaryDirectory(t);
  const file = join(directory, 'spillway.yaml');
  writeFileSync(file, typeof config === 'string' ? config : JSON.stringify(onFreePorts(config), null, 2));
  const { args = ['--config', 'CONFIG'], env = {}, nodeArgs = [], cwd = ROOT, ownGroup = false } = options;
  const { program = join(ROOT, 'src/main.ts') } = options;
  const output = options.outputTo === 'file' ? join(directory, 'output') : null;
  const child = spawn(
    process.execPath,
    [...nodeArgs, program, ...args.map((arg) => (arg === 'CONFIG' ? file : arg))],
    {
      cwd,
      env: { PATH: process.env['PATH'] ?? '', ...env },
      stdio: ['ignore', output === null ? 'pipe' : openSync(output, 'w'), 'pipe'],
      detached: ownGroup,
    },
  );
  const gateway = new GatewayProcess(child, file, output);
  t.after(async () => {
    child.kill('SIGKILL');
    await gateway.ended;
  });
  return gateway;
}
