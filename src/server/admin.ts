import { hash, timingSafeEqual } from 'node:crypto';
import Fastify, { type FastifyInstance } from 'fastify';
import { bearerToken } from '../auth/keyring.ts';
import { ApiError, errorBody } from '../core/errors.ts';
import { errorHeaders } from '../pipeline/errors.ts';

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

export interface AdminHandlers {
  /** The token that `/admin/*` asks for; null = none. */
  token(): string | null;
  /** Prometheus' text, and its content type. */
  metrics(): Promise<{ text: string; contentType: string }>;
  /** Null: ready. Else what is in the way. */
  notReady(): string | null;
  upstreams(): UpstreamStatus[];
  reload(): Promise<{ ok: true } | { ok: false; problems: string[] }>;
  failed(error: unknown): void;
}

/** The listener that operators, Prometheus and Kubernetes talk to. */
export function adminListener(handlers: AdminHandlers): FastifyInstance {
  const fastify = Fastify({ logger: false, forceCloseConnections: true });

  fastify.get('/livez', (_request, reply) => reply.send({ status: 'alive' }));
  fastify.get('/readyz', (_request, reply) => {
    const why = handlers.notReady();
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
    guarded.get('/admin/upstreams', () => ({ upstreams: handlers.upstreams() }));
    guarded.post('/admin/reload', async (_request, reply) => {
      const result = await handlers.reload();
      if (result.ok) return { status: 'reloaded' };
      const message = `The configuration was not loaded; the running one stays. ${result.problems.join('\n')}`;
      const body = { message, type: 'invalid_request_error', param: null, code: 'invalid_configuration' };
      return reply.code(422).type('application/json').send({ error: body, problems: result.problems });
    });
  });

  // Reload takes no body, and any is read over.
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('*', (_request, payload, done) => {
    payload.resume();
    done(null);
  });
  fastify.setNotFoundHandler((request, reply) => {
    const error = new ApiError(
      'unknown_url',
      `There is nothing at ${request.method} ${request.url.split('?')[0]}.`,
    );
    return reply.code(404).type('application/json').send(errorBody(error));
  });
  fastify.setErrorHandler((error, _request, reply) => {
    const known = error instanceof ApiError ? error : null;
    if (known === null) handlers.failed(error);
    const shown = known ?? new ApiError('internal_error', 'Something went wrong; the log says what.');
    return reply
      .code(shown.status)
      .headers(errorHeaders(shown))
      .type('application/json')
      .send(errorBody(shown));
  });
  return fastify;
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
