import { hash, timingSafeEqual } from 'node:crypto';
import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify';
import { bearerToken } from '../auth/keyring.ts';
import { ApiError, errorBody } from '../core/errors.ts';
import { errorHeaders } from '../pipeline/errors.ts';
import type { TenantOperations } from '../tenants/admin.ts';
import { registerTenants, TENANT_PATHS } from './admin-tenants.ts';
import { answerUsage, type UsageHandlers } from './admin-usage.ts';
import { allowedMethods } from './allowed.ts';
import { answerSocket, brokenHttp } from './broken-http.ts';
import { USUAL_LIMITS } from './limits.ts';
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
  /** The token that `/admin/*` asks for; null = none. */
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
    guarded.addHook('onRequest', async (request) =>
      checkToken(handlers.token(), request.headers.authorization),
    );
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

  // Most take no body, and any is read over.
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('*', (_request, payload, done) => {
    payload.resume();
    done(null);
  });
  fastify.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0] ?? '';
    const methods = allowed(path);
    const error =
      methods === null
        ? new ApiError('unknown_url', `There is nothing at ${request.method} ${path}.`)
        : new ApiError(
            'method_not_allowed',
            `${request.method} is not allowed here; use ${methods.join(' or ')}.`,
            {
              headers: { allow: methods.join(', ') },
            },
          );
    return answer(error, reply);
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
  const { statusCode, message, code } = error as { statusCode?: number; message?: string; code?: string };
  if (statusCode === 413)
    return new ApiError('request_too_large', 'The body is larger than is allowed here.');
  if (code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE' || message === 'aborted') {
    return new ApiError('invalid_value', 'The request ended before its body was whole.');
  }
  if (statusCode === undefined || statusCode < 400 || statusCode > 499) return null;
  return new ApiError('invalid_value', `The request cannot be read: ${message}.`);
}

/** Compares hashes, so that the time it takes says nothing of the token. */
function checkToken(token: string | null, authorization: string | undefined): void {
  if (token === null) return;
  const given = bearerToken(authorization);
  const digest = (text: string) => hash('sha256', text, 'buffer');
  if (given !== null && timingSafeEqual(digest(given), digest(token))) return;
  throw new ApiError('invalid_api_key', 'Send the admin token as `Authorization: Bearer TOKEN`.', {
    headers: { 'www-authenticate': 'Bearer' },
  });
}
