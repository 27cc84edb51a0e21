import type { Adapter, Ask, Prepared } from '../adapter.ts';
import { prepareCall } from '../openai/prepare.ts';
import { OPENAI_QUIRKS } from '../presets.ts';

/**
 * OpenAI's models on Azure, under the names of their deployments. What follows the base URL:
 *
 * - `/chat/completions`, `/responses`, `/embeddings`: the v1 API, whose base URL ends in `/openai/v1`
 * - with `api_version` `/deployments/{deployment}/chat/completions?api-version=…`, and `/embeddings` likewise; `/responses?api-version=…`
 *   has no deployment in its path. Their base URL ends in `/openai`
 *
 * So a `base_url` of the configuration ends like that too: `https://my-resource.services.ai.azure.com/openai/v1`.
 */
export const azure: Adapter = {
  speaks: new Set(['chat', 'responses', 'embeddings']),
  needsKey: 'optional',
  identity: 'entra',
  baseUrl: ({ resource, apiVersion }) => {
    if (resource === null) return 'missing resource: the name of the resource on Azure, or a base_url';
    const api = apiVersion === null ? 'openai/v1' : 'openai';
    return `https://${resource}.openai.azure.com/${api}`;
  },
  keyHeaders: (secret) => ({ 'api-key': secret }),
  prepare: (ask) => {
    const { deployments, apiVersion } = ask.provider;
    const deployment = Object.hasOwn(deployments, ask.model)
      ? (deployments[ask.model] ?? ask.model)
      : ask.model;
    const call = prepareCall({ ...ask, model: deployment }, OPENAI_QUIRKS);
    return apiVersion === null ? call : { ...call, path: classicPath(call, ask, deployment, apiVersion) };
  },
};

function classicPath({ path }: Prepared, { dialect }: Ask, deployment: string, apiVersion: string): string {
  const place = dialect === 'responses' ? '' : `/deployments/${encodeURIComponent(deployment)}`;
  return `${place}${path}?api-version=${encodeURIComponent(apiVersion)}`;
}
