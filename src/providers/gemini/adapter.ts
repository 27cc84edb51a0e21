import { type Adapter, Unsupported } from '../adapter.ts';
import type { ProviderSettings } from '../settings.ts';
import { prepareEmbeddings } from './embeddings.ts';
import { type Home, safeName, versionPath } from './home.ts';
import { isReadByGoogle } from './media.ts';
import { prepareChat } from './request.ts';

/** All that is sent is known to this version; the stable one has learnt some of it late. */
const VERSION = 'v1beta';

/** Google's Gemini API. */
export const geminiHome: Home = {
  modelPath(model: string, { baseUrl }: ProviderSettings): string {
    const name = /^(?:tuned)?models\//i.test(model) ? model : `models/${model}`;
    return `${versionPath(VERSION, baseUrl)}/${safeName(name)}`;
  },
  takesCallIds: true,
  takesLabels: false,
  tierHeader: null,
};

export const gemini: Adapter = {
  speaks: new Set(['chat', 'embeddings']),
  countsSurely: true,
  needsKey: 'yes',
  identity: null,
  baseUrl: () => `https://generativelanguage.googleapis.com/${VERSION}`,
  keyHeaders: (secret) => ({ 'x-goog-api-key': secret }),
  fetches: (url) => !isReadByGoogle(url),
  prepare(ask) {
    switch (ask.dialect) {
      case 'chat':
        return prepareChat(ask, geminiHome);
      case 'embeddings':
        return prepareEmbeddings(ask, geminiHome);
      default:
        throw new Unsupported('model', `The dialect '${ask.dialect}' is not spoken there.`);
    }
  },
};
