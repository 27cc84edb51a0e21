import { Unsupported } from '../../chat/unsupported.ts';
import type { ProviderSettings } from '../settings.ts';

/** Where Google's models are called, and in what the two places differ. */
export interface Home {
  /** The path of a model, such as `/v1beta/models/gemini-x`: after the base URL, and before `:generateContent`. */
  modelPath(model: string, provider: ProviderSettings): string;
  /** Calls and results may carry their ids. Vertex refuses the whole request for one. */
  readonly takesCallIds: boolean;
  /** Requests may carry labels, for the bill. */
  readonly takesLabels: boolean;
  /** How a service tier is asked for: in the body, or by a header of this name. */
  readonly tierHeader: string | null;
}

/** How the path of a base URL ends that names the version of the API itself. */
const VERSIONED = /\/v\d+(?:alpha|beta)?\d*$/;

/** `/v1beta`, or nothing where the base URL already says which version is meant. */
export function versionPath(version: string, baseUrl: string): string {
  return VERSIONED.test(baseUrl) ? '' : `/${version}`;
}

/** A model's name as part of a path. It may have come from a client, and must not lead anywhere else. */
export function safeName(name: string): string {
  const segments = name.split('/');
  if (segments.some((segment) => segment === '' || segment === '.' || segment === '..')) {
    throw new Unsupported('model', 'It is not the name of a model.');
  }
  return segments.map(encodeURIComponent).join('/');
}
