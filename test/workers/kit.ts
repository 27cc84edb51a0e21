/** A gateway of several workers as its users run it, with hands on its workers. */
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { errorIn } from '../server/helpers.ts';
import { type GatewayProcess, type LogLine, type ProcessOptions, startProcess } from '../support/process.ts';
import { type CleansUp, until } from '../support/redis.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

export interface Seen {
  status: number;
  text: string;
  headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Of the worker: what all its ids begin with. */
  worker: string;
}

export interface StartOptions extends ProcessOptions {
  /** Further sections of the configuration, or others in place of the usual ones. */
  config?: object;
  server?: object;
}

export class Gateway {
  readonly process: GatewayProcess;
  readonly upstream: Upstream;
  /** As it stands in the file. */
  readonly config: object;
  listen = '';
  admin = '';

  constructor(process: GatewayProcess, upstream: Upstream, config: object) {
    this.process = process;
    this.upstream = upstream;
    this.config = config;
  }

  /** Process ids of the workers that there are. */
  workers(): number[] {
    const { pid } = this.process.child;
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  }

  /** A request on a connection of its own. */
  chat(body: object = {}, headers: Record<string, string> = {}): Promise<Seen> {
    const text = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hello' }], ...body });
    return new Promise((resolve, reject) => {
      const sent = request(
        `${this.listen}/v1/chat/completions`,
        { method: 'POST', agent: false, headers: { 'content-type': 'application/json', ...headers } },
        (answer) => {
          let got = '';
          answer.setEncoding('utf8').on('data', (part: string) => {
            got += part;
          });
          answer.on('error', reject);
          answer.on('end', () => {
            const { statusCode: status = 0, headers } = answer;
            resolve({ status, text: got, headers, worker: String(headers['x-request-id']).slice(0, 16) });
          });
        },
      );
      sent.on('error', reject);
      sent.end(text);
    });
  }

  /** Opens a stream on a connection of its own: resolves as soon as it has begun. */
  async stream(): Promise<{ worker: string; rest: Promise<string> }> {
    const response = await fetch(`${this.listen}/v1/chat/completions`, {
      method: 'POST',
      headers: { connection: 'close' },
      body: JSON.stringify({
        model: 'm',
        stream: true,
        messages: [{ role: 'user', content: 'hello' }],
      }),
    });
    return { worker: (response.headers.get('x-request-id') ?? '').slice(0, 16), rest: response.text() };
  }

  async operator(method: string, path: string, body?: object): Promise<{ status: number; text: string }> {
    const response = await fetch(`${this.admin}${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, text: await response.text() };
  }

  async metrics(): Promise<string> {
    return (await this.operator('GET', '/metrics')).text;
  }

  async metric(series: string): Promise<number | null> {
    const line = (await this.metrics()).split('\n').find((one) => one.startsWith(`${series} `));
    return line === undefined ? null : Number(line.slice(series.length + 1));
  }

  said(message: string): LogLine[] {
    return this.process.lines.filter(({ msg }) => msg === message);
  }

  /** Resolves when so many workers accept requests. */
  async complete(count: number): Promise<void> {
    await until(async () => (await this.metric('spillway_workers')) === count, `${count} workers`);
  }
}

/** The status, and the code of the error. */
export function shortly({ status, text }: Pick<Seen, 'status' | 'text'>): [number, string | null] {
  return [status, status === 200 ? null : (errorIn(text).code ?? null)];
}

/** Two workers unless `server` says otherwise. The model `m` is the target `a/up`, without retries. */
export async function start(t: CleansUp, options: StartOptions = {}): Promise<Gateway> {
  const gateway = await startWithout(t, options);
  Object.assign(gateway, await gateway.process.listening());
  return gateway;
}

/** The same, without waiting until it listens. */
export async function startWithout(t: CleansUp, options: StartOptions = {}): Promise<Gateway> {
  const upstream = await startUpstream();
  const config = {
    server: { workers: 2, drain_timeout: '2s', heartbeat: '0', ...options.server },
    defaults: { retry: { attempts: 0 } },
    providers: { a: { adapter: 'vllm', base_url: upstream.url } },
    models: { m: { provider: 'a', model: 'up' } },
    ...options.config,
  };
  const process = startProcess(t, config, options);
  t.after(() => upstream.close());
  return new Gateway(process, upstream, config);
}

/** Is there such a process, other than as a memory of its parent's? */
export function lives(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
