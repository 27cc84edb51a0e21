import { type Adapter, Unsupported } from '../adapter.ts';
import { type Home, safeName, versionPath } from '../gemini/home.ts';
import { isReadByGoogle } from '../gemini/media.ts';
import { prepareChat } from '../gemini/request.ts';
import type { ProviderSettings } from '../settings.ts';
import { prepareEmbeddings } from './embeddings.ts';

const VERSION = 'v1';

/** Where a location is not said: everywhere. */
const ANYWHERE = 'global';

/** Locations that are several, which have hosts of their own. */
const SEVERAL = new Set(['us', 'eu']);

/** Google's Vertex AI: the same models, with Google's credentials or, without a project, a key (express mode). */
export const vertexHome: Home = {
  modelPath(model: string, provider: ProviderSettings): string {
    const version = versionPath(VERSION, provider.baseUrl);
    const name = nameOf(model);
    if (name.startsWith('projects/')) return `${version}/${safeName(name)}`;
    return `${version}${placeOf(provider)}/${safeName(name)}`;
  },
  takesCallIds: false,
  takesLabels: true,
  tierHeader: 'x-vertex-ai-llm-shared-request-type',
};

export const vertex: Adapter = {
  speaks: new Set(['chat', 'embeddings']),
  countsSurely: true,
  needsKey: 'optional',
  identity: 'google',
  baseUrl: ({ project, location }) =>
    `https://${hostOf(project === null ? ANYWHERE : (location ?? ANYWHERE))}`,
  keyHeaders: (secret) => ({ 'x-goog-api-key': secret }),
  fetches: (url) => !isReadByGoogle(url),
  prepare(ask) {
    switch (ask.dialect) {
      case 'chat':
        return prepareChat(ask, vertexHome);
      case 'embeddings':
        return prepareEmbeddings(ask, vertexHome);
      default:
        throw new Unsupported('model', `The dialect '${ask.dialect}' is not spoken there.`);
    }
  },
};

function hostOf(location: string): string {
  if (location === ANYWHERE) return 'aiplatform.googleapis.com';
  if (SEVERAL.has(location)) return `aiplatform.${location}.rep.googleapis.com`;
  return `${location}-aiplatform.googleapis.com`;
}

/** A path of its own is taken as it is; `publisher/model` is another's model. */
function nameOf(model: string): string {
  if (/^(?:publishers|projects|endpoints)\//.test(model)) return model;
  const slash = model.indexOf('/');
  if (slash < 0) return `publishers/google/models/${model}`;
  return `publishers/${model.slice(0, slash)}/models/${model.slice(slash + 1)}`;
}

function placeOf({ project, location }: ProviderSettings): string {
  // Without a project it is the key that says whose call it is.
  if (project === null) return '';
  return `/projects/${encodeURIComponent(project)}/locations/${encodeURIComponent(location ?? ANYWHERE)}`;
}
