/**
 * A small HTTP proxy on loopback: tunnels with CONNECT, and passes on requests that come with a whole URL. It finds hosts by its own
 * table, so a test can give an upstream a name that nobody else can look up.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse, request as send } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';

/** What the proxy was asked for. */
export interface ProxyRequest {
  method: string;
  /** `host:port` of a CONNECT; else the whole URL. */
  target: string;
  headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** `silent`: takes the request and never answers. `hang_up`: ends the connection. A number: refuses with this status. */
export type ProxyMood = 'serve' | 'silent' | 'hang_up' | number;

export interface ProxyOptions {
  /** Ports on 127.0.0.1 by the `host` or `host:port` that is asked for; others are what they say they are. */
  hosts?: Readonly<Record<string, number>>;
  /** `user:password`; without it everyone is answered 407. */
  credentials?: string;
}

export interface Proxy {
  readonly port: number;
  /** `127.0.0.1:PORT`, to put in a URL. */
  readonly host: string;
  readonly requests: readonly ProxyRequest[];
  /** Connections that are open, tunnels among them. */
  readonly openSockets: number;
  mood: ProxyMood;
  close(): Promise<void>;
}

export async function startProxy(options: ProxyOptions = {}): Promise<Proxy> {
  const requests: ProxyRequest[] = [];
  const sockets = new Set<Socket>();
  let mood: ProxyMood = 'serve';
  const wanted =
    options.credentials === undefined ? null : `Basic ${Buffer.from(options.credentials).toString('base64')}`;

  /** Where a host that is asked for really is. */
  function find(host: string, port: string): { host: string; port: number } {
    const mapped = options.hosts?.[`${host}:${port}`] ?? options.hosts?.[host];
    return mapped === undefined ? { host, port: Number(port) } : { host: '127.0.0.1', port: mapped };
  }

  function note(request: IncomingMessage): ProxyMood {
    const { method = '', url: target = '', headers } = request;
    requests.push({ method, target, headers });
    return wanted !== null && headers['proxy-authorization'] !== wanted ? 407 : mood;
  }

  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    const how = note(request);
    if (how === 'silent') return;
    if (how === 'hang_up') return void request.socket.destroy();
    if (how !== 'serve')
      return void response.writeHead(how, { 'content-type': 'text/html' }).end('<p>no</p>');
    const url = new URL(request.url ?? '');
    const { 'proxy-authorization': _, ...headers } = request.headers;
    const onward = send(
      { ...find(url.hostname, url.port || '80'), method: request.method, path: url.pathname, headers },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      },
    );
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => {});
  });
  server.on('connect', (request, socket: Socket, head: Buffer) => {
    const how = note(request);
    // Read on, so that its end is noticed.
    if (how === 'silent') return void socket.resume().on('end', () => socket.end());
    if (how === 'hang_up') return void socket.destroy();
    if (how !== 'serve') {
      socket.end(`HTTP/1.1 ${how} No\r\ncontent-length: 0\r\nproxy-authenticate: Basic realm="x"\r\n\r\n`);
      return;
    }
    const [, host = '', port = ''] = /^(.*):(\d+)$/.exec(request.url ?? '') ?? [];
    const far = connect(find(host, port), () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      far.write(head);
      far.pipe(socket).pipe(far);
    });
    far.on('error', () => socket.destroy()).on('close', () => socket.destroy());
    socket.on('close', () => far.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    host: `127.0.0.1:${port}`,
    requests,
    get openSockets() {
      return sockets.size;
    },
    get mood() {
      return mood;
    },
    set mood(next) {
      mood = next;
    },
    async close() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
