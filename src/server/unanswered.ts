import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Hardly any client asks again before it has its answer. Some thousands of requests come in one piece: it would be a long turn. */
const MOST = 100;

/** How many requests came on each connection whose answers wait for the one before them. */
export class Unanswered {
  readonly #waiting = new WeakMap<Socket, number>();

  /** Is there to be no answer? More than are taken on end their connection, and with it all that it was asked for. */
  isTooMany({ socket }: IncomingMessage, response: ServerResponse): boolean {
    // None is before it.
    if (response.socket !== null) return false;
    if (this.#count(socket) >= MOST) socket.destroy();
    if (socket.destroyed) return true;
    this.#add(socket, 1);
    response.once('close', () => this.#add(socket, -1));
    return false;
  }

  #count(socket: Socket): number {
    return this.#waiting.get(socket) ?? 0;
  }

  #add(socket: Socket, by: number): void {
    this.#waiting.set(socket, this.#count(socket) + by);
  }
}
