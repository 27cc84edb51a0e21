import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify';
import { ApiError, errorBody } from '../core/errors.ts';
import { errorHeaders } from '../pipeline/errors.ts';
import type { TenantOperations } from '../tenants/admin.ts';
import { checkOperator } from './admin-access.ts';
import { registerTenants, TENANT_PATHS } from './admin-tenants.ts';
import { answerUsage, type UsageHandlers } from './admin-usage.ts';
import { allowedMethods, notServed } from './allowed.ts';
import { answerSocket, brokenHttp } from './broken-http.ts';
import { isGone } from './client-refusals.ts';
import { USUAL_LIMITS } from './limits.ts';
import { NO_SCHEMAS } from './no-schemas.ts';
import { readOverBodies } from './read-over.ts';
import { requestIdOf } from './request-id.ts';

/** One row of `/admin/upstreams`. */
export interface UpstreamStatus {
  id: string;
  provider: string;
  model: string;
  breaker: 'closed' | 'half_open' | 'open';
  opens: number;
  /** RFC 3339, or null. */
  cooldown_until: string | null;
  in_flight: number;
  last_error: string | null;
}

/** What `/admin/upstreams` answers. */
export interface UpstreamRows {
  upstreams: UpstreamStatus[];
  /** The numbers of workers that did not answer, where there are such: the rows know nothing of them. */
  missing_workers?: number[];
}

export interface AdminHandlers extends UsageHandlers {
  /** The token that `/admin/*` asks for; null = none: then it serves this machine alone. */
  token(): string | null;
  /** Prometheus' text, and its content type. */
  metrics(): Promise<{ text: string; contentType: string }>;
  /** Null: ready. Else what is in the way. */
  notReady(): string | null | Promise<string | null>;
  upstreams(): UpstreamRows | Promise<UpstreamRows>;
  tenants(): TenantOperations;
  reload(): Promise<{ ok: true } | { ok: false; problems: string[] }>;
  failed(error: unknown): void;
}

/** What is served, beside HEAD where GET is. */
const allowed = allowedMethods({
  '/livez': ['GET'],
  '/readyz': ['GET'],
  '/metrics': ['GET'],
  '/admin/upstreams': ['GET'],
  '/admin/reload': ['POST'],
  '/admin/usage': ['GET'],
  ...TENANT_PATHS,
});

/** The listener that operators, Prometheus and Kubernetes talk to. */
export function adminListener(handlers: AdminHandlers, newId: () => string): FastifyInstance {
  const fastify = Fastify({
    logger: false,
    schemaController: NO_SCHEMAS,
    forceCloseConnections: true,
    requestTimeout: USUAL_LIMITS.request,
    return503OnClosing: false,
    clientErrorHandler: (error, socket) => {
      if (!socket.writable) socket.destroy();
      else answerSocket(socket, brokenHttp(error), newId());
    },
    frameworkErrors: (error, _request, reply) => void answerError(error, reply),
  });

  fastify.addHook('onRequest', (request, reply, next) => {
    reply.header('x-request-id', requestIdOf(request.raw, newId));
    next();
  });
  fastify.get('/livez', (_request, reply) => reply.send({ status: 'alive' }));
  fastify.get('/readyz', async (_request, reply) => {
    const why = await handlers.notReady();
    return why === null
      ? reply.send({ status: 'ready' })
      : reply.code(503).send({ status: 'not ready', reason: why });
  });
  fastify.get('/metrics', async (_request, reply) => {
    const { text, contentType } = await handlers.metrics();
    return reply.header('content-type', contentType).send(text);
  });

  fastify.register(async (guarded) => {
    guarded.addHook('onRequest', async ({ headers }) => checkOperator(handlers.token(), headers));
    guarded.get('/admin/upstreams', () => handlers.upstreams());
    guarded.get('/admin/usage', answerUsage(handlers));
    registerTenants(guarded, handlers.tenants);
    guarded.post('/admin/reload', async (_request, reply) => {
      const result = await handlers.reload();
      if (result.ok) return { status: 'reloaded' };
      const message = `The configuration was not loaded; the running one stays. ${result.problems.join('\n')}`;
      const body = { message, type: 'invalid_request_error', param: null, code: 'invalid_configuration' };
      return reply.code(422).type('application/json').send({ error: body, problems: result.problems });
    });
  });

  // Those that take one say so themselves.
  readOverBodies(fastify);
  fastify.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0] ?? '';
    return answer(notServed(request.method, path, allowed(path)), reply);
  });
  fastify.setErrorHandler((error, _request, reply) => answerError(error, reply));
  return fastify;

  function answerError(error: unknown, reply: FastifyReply): FastifyReply {
    return answer(knownError(error) ?? mistake(error), reply);
  }

  function mistake(error: unknown): ApiError {
    handlers.failed(error);
    return new ApiError('internal_error', 'Something went wrong; the log says what.');
  }

  function answer(error: ApiError, reply: FastifyReply): FastifyReply {
    if (!reply.hasHeader('x-request-id')) reply.header('x-request-id', newId());
    return reply
      .code(error.status)
      .headers(errorHeaders(error))
      .type('application/json')
      .send(errorBody(error));
  }
}

/** What is the client's own fault; null for all else. */
function knownError(error: unknown): ApiError | null {
  if (error instanceof ApiError) return error;
  const { statusCode, message } = error as { statusCode?: number; message?: string };
  if (statusCode === 413)
    return new ApiError('request_too_large', 'The body is larger than is allowed here.');
  if (isGone(error)) return new ApiError('invalid_value', 'The request ended before its body was whole.');
  if (statusCode === undefined || statusCode < 400 || statusCode > 499) return null;
  return new ApiError('invalid_value', `The request cannot be read: ${message}.`);
}
