import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Address } from '../server/settings.ts';

/**
 * So many clients may have connected and not been let in yet: Node lets in one each time round. Who finds no room tries again after a second, and
 * then later and later. No more than Linux allows unless told otherwise.
 */
const BACKLOG = 4096;

/** For `localhost`, fastify would open a second server beside the one that we know. */
export function boundTo({ host, port }: Address): Address & { backlog: number } {
  return { host: host === 'localhost' ? '127.0.0.1' : host, port, backlog: BACKLOG };
}

/** Where it listens, with the real port. */
export function urlOf(fastify: FastifyInstance, { host }: Address, scheme: 'http' | 'https'): string {
  const { port } = fastify.server.address() as AddressInfo;
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
