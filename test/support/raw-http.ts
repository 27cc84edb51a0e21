/** A client on a plain socket, for requests that no HTTP library would send. */
import { once } from 'node:events';
import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

export interface RawResponse {
  status: number;
  /** Names in lower case. */
  headers: Readonly<Record<string, string>>;
  body: string;
}

export class RawClient {
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #ended = false;
  #more: (() => void)[] = [];
  /** Resolves when the connection is gone, whoever ended it and however. */
  readonly closed: Promise<void>;

  private constructor(socket: Socket) {
    this.#socket = socket;
    const wake = () => {
      for (const resolve of this.#more.splice(0)) resolve();
    };
    socket.on('data', (bytes: Buffer) => {
      this.#received = Buffer.concat([this.#received, bytes]);
      wake();
    });
    // A reset is an end like any other: what came before it counts.
    socket.on('error', () => {});
    this.closed = new Promise((resolve) => {
      socket.on('end', () => socket.end());
      socket.on('close', () => {
        this.#ended = true;
        wake();
        resolve();
      });
    });
  }

  /** `ca`: speak TLS, and trust that certificate. */
  static async connect(origin: string, ca?: string): Promise<RawClient> {
    const { hostname, port } = new URL(origin);
    const socket =
      ca === undefined
        ? connectPlain(Number(port), hostname)
        : connectTls({ host: hostname, port: Number(port), ca });
    await once(socket, ca === undefined ? 'connect' : 'secureConnect');
    return new RawClient(socket);
  }

  /** Bytes that have come and were not taken yet. */
  get waiting(): number {
    return this.#received.length;
  }

  get localPort(): number {
    return this.#socket.localPort as number;
  }

  /** Resolves when the kernel has taken the bytes, or the connection is gone. */
  send(bytes: Uint8Array | string): Promise<void> {
    return new Promise((resolve) => this.#socket.write(bytes, () => resolve()));
  }

  /** Reads nothing more. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** The head of the next response, and as much of its body as its `content-length` says; rejects if the connection ends before. */
  async response(): Promise<RawResponse> {
    const head = await this.#until(() => {
      const end = this.#received.indexOf('\r\n\r\n');
      return end < 0 ? null : this.#take(end + 4).toString('latin1');
    });
    const [first = '', ...lines] = head.trimEnd().split('\r\n');
    const headers: Record<string, string> = {};
    for (const line of lines) {
      const colon = line.indexOf(':');
      headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
    }
    const length = Number(headers['content-length'] ?? 0);
    const body = await this.#until(() => (this.#received.length < length ? null : this.#take(length)));
    return { status: Number(first.split(' ')[1]), headers, body: body.toString() };
  }

  /** Resolves when this text has come, with all up to its end. */
  waitFor(text: string): Promise<string> {
    return this.#until(() => {
      const at = this.#received.indexOf(text);
      return at < 0 ? null : this.#take(at + text.length).toString();
    });
  }

  /** All that comes until the connection is gone. */
  async rest(): Promise<string> {
    await this.closed;
    return this.#take(this.#received.length).toString();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Ends the connection with RST. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }

  /** Sends nothing more, but goes on reading. */
  end(): void {
    this.#socket.end();
  }

  async #until<T>(look: () => T | null): Promise<T> {
    for (;;) {
      const found = look();
      if (found !== null) return found;
      if (this.#ended) throw new Error(`the connection ended after: ${this.#received.toString()}`);
      await new Promise<void>((resolve) => this.#more.push(resolve));
    }
  }

  #take(length: number): Buffer {
    const taken = this.#received.subarray(0, length);
    this.#received = this.#received.subarray(length);
    return taken;
  }
}

/** One request on a connection of its own, byte for byte; resolves to its answer. */
export async function exchangeRaw(origin: string, bytes: Uint8Array | string): Promise<RawResponse> {
  const client = await RawClient.connect(origin);
  await client.send(bytes);
  const response = await client.response();
  client.destroy();
  return response;
}
