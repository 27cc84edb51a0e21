import type { Adapter } from '../adapter.ts';
import type { HostPreset, HostQuirks } from '../presets.ts';
import { prepareCall } from './prepare.ts';

const OPENAI_MODEL = /^(?:gpt-\d|o\d|chatgpt-)/;

/** A host that speaks OpenAI's dialects. */
export function openaiHost(preset: HostPreset): Adapter {
  // Asked with every request; there are as many as the configuration names.
  const known = new Map<string, HostQuirks>();
  const quirksOf = (url: string, model: string) => {
    let quirks = known.get(url);
    if (quirks === undefined) {
      quirks = quirksAt(preset, url);
      known.set(url, quirks);
    }
    // Whoever hosts it: OpenAI's models are asked as OpenAI has it.
    return quirks !== preset.quirks && OPENAI_MODEL.test(model) ? preset.quirks : quirks;
  };
  return {
    speaks: new Set(preset.speaks),
    needsKey: preset.needsKey ? 'yes' : 'no',
    identity: null,
    baseUrl: () => preset.baseUrl,
    keyHeaders: bearer,
    prepare: (ask) => prepareCall(ask, quirksOf(ask.provider.baseUrl, ask.model)),
  };
}

/** `base_url` may also name a region of the host's own, such as `eu.api.openai.com`. */
function quirksAt({ baseUrl, quirks, quirksElsewhere }: HostPreset, url: string): HostQuirks {
  if (quirksElsewhere === undefined || url === baseUrl) return quirks;
  return hostOf(url).endsWith(`.${hostOf(baseUrl)}`) ? quirks : quirksElsewhere;
}

/** With its port; `https://host/path` has it between the second slash and the third. */
function hostOf(url: string): string {
  return url.split('/', 3)[2] ?? '';
}

function bearer(secret: string): Record<string, string> {
  return { authorization: `Bearer ${secret}` };
}
