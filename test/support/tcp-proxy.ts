/** A network on loopback that misbehaves as it is told: slow, silent, lossy or cut. It stands in front of a server on 127.0.0.1. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { CleansUp } from './redis.ts';

/** What happens to the bytes that go one way. May be changed at any time; what is under way is treated as it was when it came. */
export class Way {
  /** Each byte comes this much later. Milliseconds. */
  delay = 0;
  /** Bytes vanish. The connection goes on, as with a peer whose packets are dropped. */
  swallow = false;
  /** How often something came so far. */
  chunks = 0;
  #held = false;
  readonly #lines = new Set<Line>();

  /** Nothing more arrives until `release`, which delivers it all. */
  hold(): void {
    this.#held = true;
  }

  release(): void {
    this.#held = false;
    for (const line of this.#lines) line.pump();
  }

  get held(): boolean {
    return this.#held;
  }

  /** Passes on what `from` says to `to` until both are closed. */
  join(from: Socket, to: Socket): void {
    const line = new Line(this, to);
    this.#lines.add(line);
    from.on('data', (chunk: Buffer) => {
      this.chunks++;
      line.take(chunk);
    });
    from.on('end', () => line.take(null));
    to.on('close', () => {
      line.stop();
      this.#lines.delete(line);
    });
  }
}

/** The bytes of one connection that are under way in one direction. */
class Line {
  readonly #way: Way;
  readonly #to: Socket;
  readonly #queue: { chunk: Buffer | null; due: number }[] = [];
  #timer: NodeJS.Timeout | null = null;

  constructor(way: Way, to: Socket) {
    this.#way = way;
    this.#to = to;
  }

  /** Null is the end of it. */
  take(chunk: Buffer | null): void {
    if (chunk !== null && this.#way.swallow) return;
    this.#queue.push({ chunk, due: performance.now() + this.#way.delay });
    this.pump();
  }

  pump(): void {
    while (!this.#way.held && this.#timer === null) {
      const first = this.#queue[0];
      if (first === undefined) return;
      const wait = first.due - performance.now();
      if (wait > 0) {
        this.#timer = setTimeout(() => {
          this.#timer = null;
          this.pump();
        }, wait);
        return;
      }
      this.#queue.shift();
      if (first.chunk === null) this.#to.end();
      else if (this.#to.writable) this.#to.write(first.chunk);
    }
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#queue.length = 0;
  }
}

export class TcpProxy {
  /** Where it leads to; a change is for new connections. */
  target: number;
  /** New connections are closed at once. */
  refuses = false;
  readonly toServer = new Way();
  readonly toClient = new Way();
  /** Connections that were made to it so far. */
  connections = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(target: number) {
    this.target = target;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#serve(client));
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Connections of clients that are open. */
  get open(): number {
    return this.#sockets.size / 2;
  }

  /** Ends all that are open, without a word. */
  cut(): void {
    for (const socket of this.#sockets) {
      // One that is ending cannot be reset: Node would neither close it nor, at its own end, stop waiting for it.
      if (socket.connecting || socket.writableEnded) socket.destroy();
      else socket.resetAndDestroy();
    }
  }

  async close(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #serve(client: Socket): void {
    this.connections++;
    if (this.refuses) return void client.destroy();
    const server = connect({ port: this.target, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
    this.toServer.join(client, server);
    this.toClient.join(server, client);
  }
}

/** Starts one in front of a port of 127.0.0.1; gone with the test. */
export async function startTcpProxy(t: CleansUp, target: number): Promise<TcpProxy> {
  const proxy = new TcpProxy(target);
  await proxy.listen();
  t.after(() => proxy.close());
  return proxy;
}
