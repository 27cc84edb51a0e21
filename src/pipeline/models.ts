import type { Principal } from '../auth/keyring.ts';
import { ApiError } from '../core/errors.ts';
import { authenticate } from './authenticate.ts';
import { firstHeaders, sendError } from './errors.ts';
import type { Exchange } from './exchange.ts';
import { type Live, mayUse } from './live.ts';

/** `GET /v1/models` and `GET /v1/models/{id}`: the names that the caller may use, in OpenAI's shape. `id` null: all. */
export function models(exchange: Exchange, live: Live, id: string | null): void {
  answerJson(exchange, () => {
    const principal = authenticate(exchange, live);
    if (id === null) {
      const names = namesFor(principal, live);
      return { object: 'list', data: names.map((name) => describe(name, live)) };
    }
    if (!mayUse(principal, id) || !isKnown(id, live)) {
      throw new ApiError(
        'model_not_found',
        `The model '${id}' does not exist here, or your key may not use it.`,
        {
          param: 'model',
        },
      );
    }
    return describe(id, live);
  });
}

/** All names there are, or the tenant's own: among those may be some of `provider/model`, which stand in no list. */
function namesFor(principal: Principal, live: Live): string[] {
  const own = principal.tenant.models;
  return own === null ? [...live.models.keys()] : [...own].filter((name) => isKnown(name, live));
}

function isKnown(name: string, live: Live): boolean {
  return live.models.has(name) || live.isDirect(name);
}

/** `created` is when the configuration that names the model was loaded: it has no other birthday. */
function describe(id: string, live: Live) {
  return { id, object: 'model', created: live.loadedAt, owned_by: 'spillway' };
}

function answerJson(exchange: Exchange, make: () => unknown): void {
  const headers = firstHeaders(exchange);
  try {
    const body = JSON.stringify(make());
    exchange.send(200, headers, body);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    sendError(exchange, error, headers);
  }
}
