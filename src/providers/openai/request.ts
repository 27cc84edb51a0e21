import type { Json, JsonObject } from '../../core/json.ts';
import { isJsonObject } from '../../core/json.ts';
import type { JsonBody } from '../../core/json-body.ts';
import type { HostQuirks } from '../presets.ts';

/** What a target makes of the client's request. */
export interface TargetParams {
  model: string;
  overrideParams: JsonObject;
  quirks: Pick<HostQuirks, 'streamUsage'>;
}

/**
 * What changes in the client's body for this target, and nothing that does not: the model, the overrides, and in a stream the
 * wish for usage, which is always asked for.
 */
export function chatChanges(body: JsonBody, streaming: boolean, target: TargetParams): Map<string, Json> {
  const client = body.value;
  const changes = new Map<string, Json>();
  for (const name in target.overrideParams) changes.set(name, target.overrideParams[name] as Json);
  if (client['model'] !== target.model) changes.set('model', target.model);
  if (streaming) {
    const options = changes.has('stream_options') ? changes.get('stream_options') : client['stream_options'];
    if (target.quirks.streamUsage === 'always') {
      if (options !== undefined) changes.set('stream_options', null);
    } else if (!isJsonObject(options)) changes.set('stream_options', { include_usage: true });
    else if (options['include_usage'] !== true || !asksPlainly(body.textOf('stream_options')))
      changes.set('stream_options', { ...options, include_usage: true });
  }
  return changes;
}

/**
 * Can these options, which ask for usage, be read in one way only? Not where the name stands twice, and readers differ in which they take; nor
 * where names are written with escapes, of which parsers make different things, ours at times among them.
 */
function asksPlainly(options: string | null): boolean {
  return options !== null && !options.includes('\\') && options.split('"include_usage"').length === 2;
}
