import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Address } from '../server/settings.ts';

/** For `localhost`, fastify would open a second server beside the one that we know. */
export function boundTo({ host, port }: Address): Address {
  return { host: host === 'localhost' ? '127.0.0.1' : host, port };
}

/** Where it listens, with the real port. */
export function urlOf(fastify: FastifyInstance, { host }: Address, scheme: 'http' | 'https'): string {
  const { port } = fastify.server.address() as AddressInfo;
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
