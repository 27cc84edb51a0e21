import type { FastifyServerOptions } from 'fastify';

/** What we check we check by ourselves, and print as well. Without this Fastify brings in compilers of schemas, a twentieth of the start. */
export const NO_SCHEMAS: NonNullable<FastifyServerOptions['schemaController']> = {
  compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas },
};

function noSchemas(): never {
  throw new Error('no route here has a schema');
}
