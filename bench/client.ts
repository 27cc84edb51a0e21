/** A loader's connections: raw sockets, so that the loader costs and delays as little as it can. */
import { connect, type Socket } from 'node:net';
import { STAMP, STAMP_DIGITS } from './answers/openai.ts';

export interface Asked {
  url: string;
  headers: Record<string, string>;
  body: Buffer;
}

export interface Answer {
  /** A whole answer with status 200. */
  ok: boolean;
  /** A whole one that says that there is too much to do, and when to ask again: status 503, with `retry-after`. */
  refused: boolean;
  bytes: number;
  /** Nanoseconds from the stamp in a stream (the upstream writing it) to its arrival here; null without a stamp. */
  stampAge: number | null;
}

const STAMP_RANGE = 10n ** BigInt(STAMP_DIGITS);
const LAST_CHUNK = Buffer.from('0\r\n\r\n');

/** The request's bytes, made once. */
export function requestBytes({ url, headers, body }: Asked): Buffer {
  const about = { 'content-type': 'application/json', 'content-length': `${body.length}` };
  return Buffer.concat([headBytes('POST', url, { ...about, ...headers }), body]);
}

/** Those of one that has no body. */
export function getBytes(url: string, headers: Record<string, string>): Buffer {
  return headBytes('GET', url, headers);
}

function headBytes(method: string, url: string, headers: Record<string, string>): Buffer {
  const { host, pathname } = new URL(url);
  const lines = [
    `${method} ${pathname} HTTP/1.1`,
    `host: ${host}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`);
}

/** One keep-alive connection, one request at a time. Understands what the rows send, not all of HTTP. */
export class Connection {
  readonly #socket: Socket;
  #done: ((answer: Answer) => void) | null = null;
  #head = '';
  #bodyLeft: number | 'chunked' | null = null;
  #ok = false;
  #refused = false;
  #bytes = 0;
  #stampAge: number | null = null;
  broken = false;

  constructor(port: number) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('data', (bytes: Buffer) => this.#read(bytes));
    this.#socket.on('error', () => this.#fail());
    this.#socket.on('close', () => this.#fail());
  }

  ask(request: Buffer, done: (answer: Answer) => void): void {
    this.#done = done;
    this.#head = '';
    this.#bodyLeft = null;
    this.#bytes = 0;
    this.#stampAge = null;
    this.#socket.write(request);
  }

  /** Resolves when it stands, or is broken. */
  opened(): Promise<void> {
    return new Promise((resolve) => {
      this.#socket.once('connect', () => resolve()).once('close', () => resolve());
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(bytes: Buffer): void {
    this.#bytes += bytes.length;
    let body = bytes;
    if (this.#bodyLeft === null) {
      this.#head += bytes.toString('latin1');
      const end = this.#head.indexOf('\r\n\r\n');
      if (end === -1) return;
      const head = this.#head.slice(0, end);
      this.#ok = head.startsWith('HTTP/1.1 200');
      this.#refused = head.startsWith('HTTP/1.1 503') && /\r\nretry-after: /i.test(head);
      const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
      this.#bodyLeft = length === undefined ? 'chunked' : Number(length);
      body = bytes.subarray(bytes.length - (this.#head.length - end - 4));
    }
    if (this.#bodyLeft === 'chunked') {
      if (this.#stampAge === null) this.#readStamp(body);
      // Ours are the only bodies here, and none holds this but at its end.
      if (body.subarray(-LAST_CHUNK.length).equals(LAST_CHUNK)) this.#finish();
    } else {
      this.#bodyLeft -= body.length;
      if (this.#bodyLeft <= 0) this.#finish();
    }
  }

  #readStamp(body: Buffer): void {
    const at = body.indexOf(`"${STAMP}`);
    if (at === -1) return;
    const stamp = body.toString('latin1', at + 2, at + 2 + STAMP_DIGITS);
    if (!/^\d+$/.test(stamp)) return;
    this.#stampAge = Number((process.hrtime.bigint() % STAMP_RANGE) - BigInt(stamp));
  }

  #fail(): void {
    this.broken = true;
    this.#ok = false;
    this.#refused = false;
    this.#finish();
  }

  #finish(): void {
    const done = this.#done;
    this.#done = null;
    done?.({ ok: this.#ok, refused: this.#refused, bytes: this.#bytes, stampAge: this.#stampAge });
  }
}
