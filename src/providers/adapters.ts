import type { Adapter } from './adapter.ts';
import { anthropic } from './anthropic/adapter.ts';
import { azure } from './azure/adapter.ts';
import { bedrock } from './bedrock/adapter.ts';
import { gemini } from './gemini/adapter.ts';
import { openaiHost } from './openai/adapter.ts';
import { HOST_PRESETS, type HostName } from './presets.ts';
import { vertex } from './vertex/adapter.ts';

/** Those with words of their own. A new one is a folder and a line. */
const NATIVE = { anthropic, azure, bedrock, gemini, vertex } as const satisfies Record<string, Adapter>;

export type AdapterName = HostName | keyof typeof NATIVE;

const hosts = Object.entries(HOST_PRESETS).map(([name, preset]) => [name, openaiHost(preset)] as const);

/** By the word after `adapter:`. */
export const ADAPTERS = { ...Object.fromEntries(hosts), ...NATIVE } as Readonly<Record<AdapterName, Adapter>>;
