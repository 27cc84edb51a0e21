import type { Server, Socket } from 'node:net';

/** The connections to a TLS listener that have not shaken hands yet. Node closes them neither with the idle ones nor with all. */
export class Handshakes {
  /** By who is at the other end: Node makes another socket of each that has shaken hands. */
  readonly #underWay = new Map<string, Socket>();

  constructor(server: Server) {
    server.on('connection', (socket: Socket) => {
      const peer = peerOf(socket);
      this.#underWay.set(peer, socket);
      socket.once('close', () => this.#over(peer, socket));
    });
    server.on('secureConnection', (socket: Socket) => this.#underWay.delete(peerOf(socket)));
    // Node tells of those that failed under 'clientError' as well, and they can be answered nothing.
    server.on('tlsClientError', (_error: Error, socket: Socket) => socket.destroy());
  }

  destroyAll(): void {
    for (const socket of [...this.#underWay.values()]) socket.destroy();
  }

  #over(peer: string, socket: Socket): void {
    if (this.#underWay.get(peer) === socket) this.#underWay.delete(peer);
  }
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
