import { ERROR_CODES, type ErrorCode } from '../../src/core/errors.ts';
import { code, type Page, table } from './page.ts';

/** What the code cannot say of each: when it comes, and what to do. A new code does not compile until it stands here. */
const MEANING: Readonly<Record<ErrorCode, { when: string; todo: string }>> = {
  invalid_api_key: {
    when: 'No key was sent, or one that is not in the configuration. On the admin listener: the admin token is missing or wrong, or there is none and a web page asks, or a name that is not `localhost`.',
    todo: 'Send `Authorization: Bearer KEY`. A new key: `npx spillway key`.',
  },
  model_not_allowed: {
    when: "The model exists, but the tenant's `models` do not list it.",
    todo: 'Ask for one that `GET /v1/models` lists, or add the name to the tenant.',
  },
  model_not_found: {
    when: 'No model or alias has this name. `GET /v1/models/{id}` says so too where the key may not use it.',
    todo: 'Compare with `GET /v1/models`; the names are those under `models` and `aliases`, not those of the provider (unless `direct_models` is on).',
  },
  stream_not_found: {
    when: 'The tenant has no stream by this id: none was begun with `x-spillway-resume: true`, it ended more than ten minutes ago, or it was sealed with another `idempotency.encryption_key` than this gateway has.',
    todo: 'Take the id from `x-spillway-stream-id`, and ask with a key of the same tenant. Else ask the model anew.',
  },
  stream_truncated: {
    when: 'What was asked for has been dropped: of a long stream the latest 8 MB are kept.',
    todo: 'Ask for what comes after a later event; `message` says which are still there. Else ask the model anew.',
  },
  tenant_not_found: {
    when: 'Admin listener: no tenant has this id.',
    todo: '`GET /admin/tenants` lists those there are.',
  },
  key_not_found: {
    when: 'Admin listener: the tenant has no key by this id.',
    todo: '`GET /admin/tenants/{id}/keys` lists those it has.',
  },
  tenant_exists: {
    when: 'Admin listener: there is a tenant by this id already.',
    todo: 'Take another id, or change the one there is with `PATCH`.',
  },
  tenant_in_file: {
    when: 'Admin listener: the tenant stands in the configuration file, which alone can change it.',
    todo: 'Change the file that the message names, then reload.',
  },
  key_exists: {
    when: 'Admin listener: the hash that was sent is that of a key that there is already, or that was in use until it was rotated.',
    todo: "Make another key: each is one client's.",
  },
  unknown_url: {
    when: 'There is nothing at this path.',
    todo: "Check the SDK's base URL: it ends in `/v1`.",
  },
  method_not_allowed: {
    when: 'The path exists, the method does not.',
    todo: 'Use the one that the `allow` header names.',
  },
  invalid_json: {
    when: 'There is no body, or it is not JSON, or it is nested too deeply or holds too many values to be read in reasonable time.',
    todo: 'Mend the body. Nothing was sent to a provider.',
  },
  invalid_value: {
    when: 'A field has the wrong type, the body is no object or was cut short, the request is not valid HTTP, or no condition of a `conditional` model matches and it has no `default`.',
    todo: 'Mend the field that `param` names.',
  },
  unsupported_parameter: {
    when: 'No target of the model can take what `param` names, and the answer would mean something else without it.',
    todo: 'Leave it out, or ask for a model that can.',
  },
  needs_shared_state: {
    when: 'The gateway runs several workers (`server.workers`) without `state.redis`, and was asked for what would hold in one of them only: an `Idempotency-Key`, a stream to come back to, a tenant made through the admin API.',
    todo: 'Set `state.redis`, or take one worker. Clients: ask without it.',
  },
  missing_required_parameter: {
    when: '`model` or `messages` is missing.',
    todo: 'Send the field that `param` names.',
  },
  idempotency_key_reused: {
    when: 'The `Idempotency-Key` was sent before with another body, or to another path.',
    todo: 'Take a new key for each request; the same one only to send the same request again.',
  },
  idempotency_key_in_use: {
    when: 'A request with this `Idempotency-Key` runs already, and was waited for as long as a request may take in all (`timeouts.total`).',
    todo: 'Send the same again after `retry-after`: its answer will be there, or it runs anew. The official SDKs do so by themselves.',
  },
  request_too_large: {
    when: 'The body is larger than `server.max_body`.',
    todo: 'Send less, or raise the limit and restart.',
  },
  headers_too_large: {
    when: 'The headers are larger than 16 KiB together.',
    todo: 'Send fewer or shorter ones: a cookie or a token of another service often travels along.',
  },
  request_timeout: {
    when: 'The client took too long to send its request: 15 s for the headers, 60 s for all of it.',
    todo: 'Look at the network between client and gateway. The connection is closed.',
  },
  unsupported_media_type: {
    when: 'The body is compressed.',
    todo: 'Send it without `content-encoding`.',
  },
  context_length_exceeded: {
    when: 'The prompt is too long for every target that was asked. `message` is in the words of the upstream.',
    todo: 'Shorten it, or add a target with a longer context to the tree.',
  },
  content_policy_violation: {
    when: 'A provider refused the content and gave no code of its own; otherwise its own code stands here.',
    todo: 'Change the content. It is not sent to another target.',
  },
  rate_limit_exceeded: {
    when: 'A quota per second, minute or hour is used up, or as many requests are under way as may be. The message names the quota and when there is room; `type` is `requests` or `tokens`.',
    todo: 'Wait as long as `retry-after` says. Where `x-should-retry` is false, the wait is over a minute, or the request could never fit: ask for less with `max_completion_tokens`.',
  },
  insufficient_quota: {
    when: 'A quota in US dollars, or one per day or month, is used up, or could never take this request.',
    todo: '`GET /v1/usage` shows all quotas of the key. The operator can raise the limit.',
  },
  model_not_priced: {
    when: 'The tenant has a quota in dollars and none in tokens, and no target of the model has a price.',
    todo: 'Add a price to `prices.yaml`, or a quota of tokens beside the one in dollars.',
  },
  upstream_rate_limited: {
    when: 'Every target is rate limited by its provider.',
    todo: 'Wait as long as `retry-after` says. If it happens often: more keys (`api_keys`), more targets, or a higher limit at the provider.',
  },
  upstream_auth_error: {
    when: "Every provider that was asked refused the gateway's own key (401 or 403).",
    todo: 'For the operator: check `api_key`; the log line `upstream refuses us` says which. A refused key is left alone for 5 minutes.',
  },
  upstream_out_of_credit: {
    when: "The gateway's account is empty at every provider that was asked.",
    todo: 'For the operator: pay, or add another provider. The key is left alone for 5 minutes.',
  },
  upstream_error: {
    when: 'All targets failed, not all for one of the other reasons. `message` lists each with its tries and its last outcome.',
    todo: "Read the list; then the providers' status pages, `GET /admin/upstreams` and the log.",
  },
  no_healthy_upstream: {
    when: 'Every target is overloaded, cooling down, or has its circuit breaker open.',
    todo: 'Try again after `retry-after`.',
  },
  upstream_timeout: {
    when: 'The last target gave no first token, or no answer, in time, or the time for the whole request was over.',
    todo: 'Stream; or raise `timeouts.first_token`, `timeouts.attempt` or `timeouts.total`.',
  },
  state_unavailable: {
    when: 'The store of shared state (Redis) is away: with `on_outage: deny` every request whose tenant has quotas, `GET /v1/usage`, and on the admin listener what reads or changes shared state. With `server.workers` also: a worker does not answer that an operator’s request needs.',
    todo: 'Try again shortly. `spillway_state_store_up` and the log say since when.',
  },
  server_is_overloaded: {
    when: 'In the gateway, or the worker that has the connection, the request would have to wait too long to be begun; or `server.max_in_flight` requests are under way, or nearly, and this tenant has its share of them; or the bodies of requests take as much memory as there is for them.',
    todo: 'Try again after `retry-after`; the official SDKs do so by themselves. For the operator: `spillway_overload_refusals_total` names the tenant and the `reason`. `delay`: more gateways or workers; `in_flight`: a higher limit, or a quota of `concurrent` for the tenant; `bodies`: more memory. See [overload.md](overload.md#what-to-do-about-it).',
  },
  server_shutting_down: {
    when: 'The gateway was told to stop.',
    todo: 'Try again: another instance, or the next one, answers.',
  },
  stream_interrupted: {
    when: 'Comes inside a stream, as its last event and with no `[DONE]` after it: the upstream broke off after its first content had been delivered.',
    todo: 'Throw away what came, or keep it knowing that it is not the whole answer; ask again.',
  },
  internal_error: {
    when: 'A mistake of the gateway.',
    todo: 'Look in the log for `a mistake of the gateway`, and report it.',
  },
};

export const errorsPage: Page = {
  file: 'docs/errors.md',
  text: async () => `# Errors

<!-- Made from src/core/errors.ts by \`npm run docs\`. Change it there, or in tools/docs/errors.ts. -->

Errors that Spillway itself answers with have OpenAI's shape, so that the official SDKs raise their usual exceptions:

\`\`\`json
{"error":{"message":"No target of 'chat' gave an answer. Tried: ...","type":"server_error","param":null,"code":"upstream_error"}}
\`\`\`

An error that is the client's own fault (an invalid request, filtered content) is passed on as the upstream wrote it, with its
status, cleaned of the gateway's keys. Every answer, errors included, carries \`x-request-id\`: the log line of the request has it as \`id\`.

\`x-should-retry: false\` tells the official SDKs, which try again by themselves, that it would not help: the gateway has
already tried what there was to try, or the wait is over a minute. \`retry-after\` (whole seconds, at least 1) and
\`retry-after-ms\` say when it will.

${table(
  ['Code', 'Status', 'Type', 'When', 'What to do'],
  (Object.keys(ERROR_CODES) as ErrorCode[]).map((name) => {
    const { status, type } = ERROR_CODES[name];
    const { when, todo } = MEANING[name];
    return [code(name), String(status), code(type), when, todo];
  }),
)}

\`POST /admin/reload\` has one more: \`invalid_configuration\` (422), with the list \`problems\` beside the error.
`,
};
