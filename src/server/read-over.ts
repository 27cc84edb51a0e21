import type { FastifyInstance } from 'fastify';

/** For routes that expect no body: any is read over, so that its connection can be used again. */
export function readOverBodies(fastify: FastifyInstance): void {
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('*', (_request, payload, done) => {
    payload.resume();
    done(null);
  });
}
