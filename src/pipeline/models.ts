import type { Principal } from '../auth/keyring.ts';
import { ApiError } from '../core/errors.ts';
import { authenticate } from './authenticate.ts';
import { answerErrors, firstHeaders } from './errors.ts';
import type { Exchange } from './exchange.ts';
import { type Live, mayUse } from './live.ts';

/** `GET /v1/models` and `GET /v1/models/{id}`: the names that the caller may use, in OpenAI's shape. `id` null: all. */
export async function models(exchange: Exchange, live: Live, id: string | null): Promise<void> {
  await answerErrors(exchange, () => {
    const principal = authenticate(exchange, live);
    const answer = id === null ? list(principal, live) : one(id, principal, live);
    exchange.send(200, firstHeaders(exchange), JSON.stringify(answer));
  });
}

function list(principal: Principal, live: Live) {
  return { object: 'list', data: namesFor(principal, live).map((name) => describe(name, live)) };
}

function one(id: string, principal: Principal, live: Live) {
  if (mayUse(principal, id) && isKnown(id, live)) return describe(id, live);
  const message = `The model '${id}' does not exist here, or your key may not use it.`;
  throw new ApiError('model_not_found', message, { param: 'model' });
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
