/** So many in any stretch of that length (a day is a calendar day, UTC). */
export interface Rate {
  limit: number;
  per: 'second' | 'minute' | 'hour' | 'day';
}

/** What a provider may be asked, over all its keys and models. Null: as much as one likes. */
export interface ProviderLimits {
  requests: Rate | null;
  tokens: Rate | null;
  /** Requests under way at a time. */
  concurrent: number | null;
}

/** One entry under `providers`, resolved. */
export interface ProviderSettings {
  id: string;
  /** A name in the table of adapters. */
  adapter: string;
  /** Without a trailing slash. */
  baseUrl: string;
  /** At least one; null = the host wants none. */
  apiKeys: readonly (string | null)[];
  /** Sent with every call; names in lower case. */
  headers: Readonly<Record<string, string>>;
  /** An HTTP proxy's URL; null = what the environment says. */
  proxy: string | null;
  /** PEM text of certificates to trust besides the system's. */
  ca: string | null;
  /** Sockets per origin. */
  connections: number;
  /** Null: none at all. */
  limits: ProviderLimits | null;
  /** After a 429 an upstream is asked less often, then slowly more again. */
  adaptive: boolean;
  /** `bedrock`: the region; null = not given. */
  region: string | null;
  /** `azure`: the resource. */
  resource: string | null;
  /** `azure`: the deployment of each model; others are called by their own name. */
  deployments: Readonly<Record<string, string>>;
  /** `azure`: given, classic URLs are called, with this version. */
  apiVersion: string | null;
  /** `vertex`: the project. */
  project: string | null;
  /** `vertex`: the location. */
  location: string | null;
}
