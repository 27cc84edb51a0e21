import { isUtf8 } from 'node:buffer';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { ApiError } from '../core/errors.ts';
import { tryParseJson } from '../core/json.ts';
import type { Origin, TenantOperations } from '../tenants/admin.ts';

/** Several hundred keys with their quotas. Bytes. */
const LONGEST_BODY = 64 * 1024;

interface Asked {
  tenant: string;
  key: string;
  query: unknown;
  /** Parsed. Throws an ApiError where nothing, or no JSON, was sent. */
  body(): unknown;
  /** The same where nothing need be sent: an empty object then. */
  bodyIfAny(): unknown;
  origin: Origin;
}

interface Route {
  path: string;
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  status: (answer: unknown) => number;
  run(tenants: TenantOperations, asked: Asked): Promise<unknown>;
}

const TENANTS = '/admin/tenants';
const TENANT = `${TENANTS}/:tenant`;
const KEYS = `${TENANT}/keys`;
const KEY = `${KEYS}/:key`;

const ok = () => 200;
const created = () => 201;
const done = () => 204;
const createdUnlessRotated = (answer: unknown) => ((answer as { rotated: boolean }).rotated ? 200 : 201);

const ROUTES: readonly Route[] = [
  {
    path: TENANTS,
    method: 'GET',
    status: ok,
    run: (tenants, { query }) => tenants.list(query),
  },
  {
    path: TENANTS,
    method: 'POST',
    status: created,
    run: (tenants, { body, origin }) => tenants.create(body(), origin),
  },
  {
    path: TENANT,
    method: 'GET',
    status: ok,
    run: (tenants, { tenant }) => tenants.get(tenant),
  },
  {
    path: TENANT,
    method: 'PATCH',
    status: ok,
    run: (tenants, { tenant, body, origin }) => tenants.patch(tenant, body(), origin),
  },
  {
    path: TENANT,
    method: 'DELETE',
    status: done,
    run: (tenants, { tenant, origin }) => tenants.remove(tenant, origin),
  },
  {
    path: KEYS,
    method: 'GET',
    status: ok,
    run: (tenants, { tenant }) => tenants.keys(tenant),
  },
  {
    path: KEYS,
    method: 'POST',
    status: createdUnlessRotated,
    run: (tenants, { tenant, body, origin }) => tenants.putKey(tenant, body(), origin),
  },
  {
    path: KEY,
    method: 'PATCH',
    status: ok,
    run: (tenants, { tenant, key, body, origin }) => tenants.patchKey(tenant, key, body(), origin),
  },
  {
    path: KEY,
    method: 'DELETE',
    status: done,
    run: (tenants, { tenant, key, origin }) => tenants.revoke(tenant, key, origin),
  },
  {
    path: `${KEY}/rotate`,
    method: 'POST',
    status: ok,
    run: (tenants, { tenant, key, bodyIfAny, origin }) => tenants.rotate(tenant, key, bodyIfAny(), origin),
  },
];

/** Paths with the methods they take; `:name` stands for one segment. */
export const TENANT_PATHS: Readonly<Record<string, readonly string[]>> = Object.fromEntries(
  [...Map.groupBy(ROUTES, ({ path }) => path)].map(([path, routes]) => [
    path,
    routes.map(({ method }) => method),
  ]),
);

/** Tenants without a restart. `guarded`: where the token is asked for, and nobody reads bodies. */
export function registerTenants(guarded: FastifyInstance, tenants: () => TenantOperations): void {
  guarded.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(
      '*',
      { parseAs: 'buffer', bodyLimit: LONGEST_BODY },
      (_request, body, parsed) => parsed(null, body),
    );
    scope.addHook('onRequest', async ({ raw }) => {
      const coding = raw.headers['content-encoding'];
      if (coding !== undefined && coding.toLowerCase() !== 'identity') {
        throw new ApiError('unsupported_media_type', 'Send the body without content-encoding.');
      }
      // Whatever type it was given: curl -d gives a wrong one, and fastify refuses what has not the form of a type.
      raw.headers['content-type'] = 'application/json';
    });
    for (const { path, method, status, run } of ROUTES) {
      scope.route({
        method,
        url: path,
        handler: async (request, reply) => {
          const answer = await run(tenants(), asked(request, reply));
          const code = status(answer);
          // Keys pass by here: nothing on the way may keep them.
          reply.code(code).header('cache-control', 'no-store');
          return code === 204 ? reply.send() : reply.type('application/json').send(JSON.stringify(answer));
        },
      });
    }
  });
}

function asked(request: FastifyRequest, reply: FastifyReply): Asked {
  const { tenant = '', key = '' } = request.params as Record<string, string>;
  const sent = Buffer.isBuffer(request.body) && request.body.length > 0 ? request.body : null;
  const parse = (bytes: Buffer) => {
    const body = isUtf8(bytes) ? tryParseJson(bytes.toString()) : undefined;
    if (body === undefined) throw new ApiError('invalid_json', 'The body is not JSON.');
    return body;
  };
  return {
    tenant,
    key,
    query: request.query,
    body: () => {
      if (sent === null) throw new ApiError('invalid_json', 'There is no body; send JSON.');
      return parse(sent);
    },
    bodyIfAny: () => (sent === null ? {} : parse(sent)),
    origin: {
      request: String(reply.getHeader('x-request-id') ?? ''),
      address: request.ip,
    },
  };
}
