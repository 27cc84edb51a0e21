import diagnostics from 'node:diagnostics_channel';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { MediaFetcher, type MediaOptions } from '../../src/media/media.ts';
import { ManualClock } from '../support/manual-clock.ts';

export const PNG = Buffer.from('\x89PNG\r\n\x1a\n----picture----', 'latin1');
export const PNG_64 = PNG.toString('base64');
export const PNG_URL = `data:image/png;base64,${PNG_64}`;

/** Answers with a picture. */
export const picture: RequestListener = (_request, response) => {
  response.setHeader('content-type', 'image/png').end(PNG);
};

export interface Host {
  port: number;
  /** At this address, by its number. */
  url: string;
  /** Paths that were asked for, in order. */
  paths: string[];
  headers: Readonly<Record<string, string | string[] | undefined>>[];
  sockets: Set<Socket>;
  /** Resolves when so many requests have come in all. */
  asked(count: number): Promise<void>;
  /** Resolves when no socket is left. */
  quiet(): Promise<void>;
}

/** A web server, on a port of its own unless one is given. */
export async function openHost(
  t: TestContext,
  listener: RequestListener = picture,
  { address = '127.0.0.1', port = 0, tls = null as { key: string; cert: string } | null } = {},
): Promise<Host> {
  const waiting = new Set<() => void>();
  const wake = () => {
    for (const one of waiting) one();
  };
  const until = (done: () => boolean) =>
    new Promise<void>((resolve) => {
      const check = () => {
        if (!done()) return;
        waiting.delete(check);
        resolve();
      };
      waiting.add(check);
      check();
    });
  const host: Host = {
    port: 0,
    url: '',
    paths: [],
    headers: [],
    sockets: new Set(),
    asked: (count) => until(() => host.paths.length >= count),
    quiet: () => until(() => host.sockets.size === 0),
  };
  const record: RequestListener = (request, response) => {
    host.paths.push(request.url ?? '');
    host.headers.push(request.headers);
    wake();
    listener(request, response);
  };
  const server: Server = tls === null ? createServer(record) : createTlsServer(tls, record);
  server.on('connection', (socket: Socket) => {
    host.sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => {
      host.sockets.delete(socket);
      wake();
    });
  });
  server.listen(port, address);
  await once(server, 'listening');
  host.port = (server.address() as AddressInfo).port;
  host.url = `${tls === null ? 'http' : 'https'}://${address}:${host.port}`;
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return host;
}

/** Where names lead; each is looked up in its own list from front to back, and stays at the end of it. */
export type Names = Readonly<Record<string, readonly string[]>>;

export function openFetcher(options: MediaOptions & { names?: Names } = {}) {
  const clock = new ManualClock();
  const asked: string[] = [];
  const lookup = async (name: string) => {
    const times = asked.push(name) - 1;
    const list = options.names?.[name] ?? [];
    const before = asked.slice(0, times).filter((one) => one === name).length;
    const addresses = list[Math.min(before, list.length - 1)];
    if (addresses === undefined)
      throw Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' });
    return addresses.split(' ').map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
  };
  const fetcher = new MediaFetcher({ clock, lookup, own: () => [], ...options });
  return { clock, fetcher, lookups: asked };
}

/** Counts the connections that are begun from now on. */
export function countConnections(t: TestContext): { count: number } {
  const counted = { count: 0 };
  const note = () => void counted.count++;
  diagnostics.subscribe('undici:client:beforeConnect', note);
  t.after(() => diagnostics.unsubscribe('undici:client:beforeConnect', note));
  return counted;
}
