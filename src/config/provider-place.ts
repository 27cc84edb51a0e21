import type { ProviderFile } from '../providers/schema.ts';
import type { ProviderSettings } from '../providers/settings.ts';
import type { Path } from './problem.ts';
import type { Scope } from './scope.ts';

/** Where a provider's service is to be found, and what is called what there. */
export type ProviderPlace = Pick<
  ProviderSettings,
  'region' | 'resource' | 'deployments' | 'apiVersion' | 'project' | 'location'
>;

/** The keys that only one adapter reads: on any other somebody meant something else. */
const READ_BY = {
  region: 'bedrock',
  resource: 'azure',
  deployments: 'azure',
  api_version: 'azure',
  project: 'vertex',
  location: 'vertex',
} as const satisfies Partial<Record<keyof ProviderFile, ProviderFile['adapter']>>;

/** They become part of a URL. */
const FORMS = {
  region: { form: /^[a-z]{2,}(-[a-z]+)+-\d+$/, expected: 'a region such as us-east-1' },
  resource: {
    form: /^[A-Za-z0-9][A-Za-z0-9-]{0,62}$/,
    expected: 'the name of a resource, such as my-resource for https://my-resource.openai.azure.com',
  },
  api_version: { form: /^[\w.-]+$/, expected: 'a version such as 2024-10-21' },
  project: { form: /^[A-Za-z0-9][A-Za-z0-9.:-]*$/, expected: 'the id of a project, such as my-project' },
  location: { form: /^[a-z0-9-]+$/, expected: 'a location such as global, eu or europe-west4' },
} as const;

/** Where AWS's own tools look for the region. */
const REGION_VARIABLES = ['AWS_REGION', 'AWS_DEFAULT_REGION'];

export interface Placed {
  place: ProviderPlace;
  /** Nothing is missing, as far as can be told. */
  complete: boolean;
}

/** `hasKey`: it is called with a key, so nothing has to be signed. */
export function providerPlace(file: ProviderFile, hasKey: boolean, path: Path, scope: Scope): Placed {
  for (const [key, adapter] of Object.entries(READ_BY) as [keyof typeof READ_BY, string][]) {
    if (file[key] === undefined || file.adapter === adapter) continue;
    scope.report(
      [...path, key],
      `belongs to \`adapter: ${adapter}\`; \`adapter: ${file.adapter}\` has no use for it`,
    );
  }
  const text = (key: keyof typeof FORMS): string | null => {
    const given = file[key];
    if (given === undefined || given === '') return null;
    const { form, expected } = FORMS[key];
    const place = [...path, key];
    if (!form.test(given)) scope.report(place, `expected ${expected}, found ${scope.shown(place)}`);
    return given;
  };
  const place: ProviderPlace = {
    region: text('region'),
    resource: text('resource'),
    deployments: file.deployments ?? {},
    apiVersion: text('api_version'),
    project: text('project'),
    location: text('location'),
  };
  switch (file.adapter) {
    case 'bedrock':
      return bedrock(file, place, hasKey, path, scope);
    case 'azure':
      return azure(file, place, path, scope);
    case 'vertex':
      return vertex(place, hasKey, path, scope);
    default:
      return { place, complete: true };
  }
}

function bedrock(
  file: ProviderFile,
  place: ProviderPlace,
  hasKey: boolean,
  path: Path,
  scope: Scope,
): Placed {
  const region = place.region ?? regionOf(file.base_url) ?? regionOfEnvironment(path, scope);
  const isNeeded = file.base_url === undefined || !hasKey;
  const complete = region !== null || !isNeeded;
  // What the environment says is not to be looked at without secrets.
  if (!complete && scope.readSecrets) {
    const why = file.base_url === undefined ? '' : ', for its requests are signed for a region';
    scope.report(
      [...path, 'region'],
      `missing; \`adapter: bedrock\` needs one, such as us-east-1${why} (or ${REGION_VARIABLES.join(' or ')} in the environment)`,
    );
  }
  return { place: { ...place, region }, complete };
}

/** Of `https://bedrock-runtime.eu-west-1.amazonaws.com` and its like. */
function regionOf(baseUrl: string | undefined): string | null {
  return (
    /\bbedrock-(?:runtime|mantle)(?:-fips)?\.([a-z]{2,}(?:-[a-z]+)+-\d+)\./.exec(baseUrl ?? '')?.[1] ?? null
  );
}

function regionOfEnvironment(path: Path, scope: Scope): string | null {
  const region = scope.environment(...REGION_VARIABLES);
  if (region !== null && !FORMS.region.form.test(region)) {
    scope.report(
      [...path, 'region'],
      `missing, and ${REGION_VARIABLES.join(' or ')} of the environment is not ${FORMS.region.expected}`,
    );
  }
  return region;
}

function azure(file: ProviderFile, place: ProviderPlace, path: Path, scope: Scope): Placed {
  const complete = place.resource !== null || file.base_url !== undefined;
  if (!complete) {
    scope.report([...path, 'resource'], 'missing; `adapter: azure` needs `resource` or `base_url`');
  } else if (place.resource !== null && file.base_url !== undefined) {
    scope.warn([...path, 'resource'], 'has no effect beside `base_url`');
  }
  return { place, complete };
}

function vertex(place: ProviderPlace, hasKey: boolean, path: Path, scope: Scope): Placed {
  const complete = place.project !== null || hasKey;
  if (!complete) {
    scope.report(
      [...path, 'project'],
      'missing; `adapter: vertex` needs a project, or an `api_key` of the express mode',
    );
  }
  return { place: { ...place, location: place.location ?? 'global' }, complete };
}
