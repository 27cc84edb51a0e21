/** A server that speaks the protocol of Redis and says what it is told to: for answers that a real one does not give on demand. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { CleansUp } from './redis.ts';

/** A text that begins with `-` is an error. */
export type StubReply = string | number | readonly StubReply[];

export interface RespStub {
  readonly port: number;
  /** What it was asked, commands in capitals. */
  readonly asked: readonly (readonly string[])[];
}

/** `answer` is given the command and its words; to what it does not know the answer is `OK`. */
export async function startRespStub(
  t: CleansUp,
  answer: (words: readonly string[]) => StubReply | undefined,
): Promise<RespStub> {
  const asked: string[][] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    let unread = '';
    socket.setEncoding('latin1').on('data', (text: string) => {
      unread += text;
      for (;;) {
        const read = readCommand(unread);
        if (read === null) return;
        unread = unread.slice(read.length);
        const [command = '', ...words] = read.words;
        asked.push([command.toUpperCase(), ...words]);
        socket.write(write(answer([command.toUpperCase(), ...words]) ?? 'OK'));
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  return { port: (server.address() as AddressInfo).port, asked };
}

/** The first command of this text, or null if it is not all there yet. */
function readCommand(text: string): { words: string[]; length: number } | null {
  const words: string[] = [];
  let at = 0;
  const line = (): string | null => {
    const end = text.indexOf('\r\n', at);
    if (end < 0) return null;
    const found = text.slice(at + 1, end);
    at = end + 2;
    return found;
  };
  const count = line();
  if (count === null) return null;
  for (let index = 0; index < Number(count); index++) {
    const size = line();
    if (size === null || text.length < at + Number(size) + 2) return null;
    words.push(text.slice(at, at + Number(size)));
    at += Number(size) + 2;
  }
  return { words, length: at };
}

function write(reply: StubReply): string {
  if (typeof reply === 'number') return `:${reply}\r\n`;
  if (typeof reply !== 'string') return `*${reply.length}\r\n${reply.map(write).join('')}`;
  return reply.startsWith('-') ? `${reply}\r\n` : `$${reply.length}\r\n${reply}\r\n`;
}
