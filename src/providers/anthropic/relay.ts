import { EFFORTS } from '../../capabilities/capabilities.ts';
import { markMessages } from '../../chat/cache-markers.ts';
import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import { type Ask, Drops, type Prepared, Unsupported } from '../adapter.ts';
import { changedBody } from '../printed-body.ts';
import { endsInPrefill, hoisted, messagesLackThinking, withoutForeign } from './relay-messages.ts';
import { overrides } from './relay-overrides.ts';
import { adaptThinking, overrideThinking } from './relay-thinking.ts';

/**
 * A request in Anthropic's own words, byte for byte but for the model, the target's overrides, and what the model would refuse. Throws `Unsupported`.
 */
export function relayedRequest(ask: Ask): Pick<Prepared, 'body' | 'printing' | 'dropped'> {
  const request = new Relayed(ask);
  request.clean();
  request.bound();
  request.choose();
  request.think();
  request.sample();
  request.mark();
  return { ...changedBody(ask, request.changes), dropped: request.drops.names };
}

const SAMPLING = ['temperature', 'top_p', 'top_k'] as const;

class Relayed {
  readonly changes: Map<string, Json>;
  readonly drops: Drops;
  readonly #ask: Ask;
  /** What others than Claude said was taken out. */
  #wasForeign = false;

  constructor(ask: Ask) {
    this.#ask = ask;
    this.drops = new Drops(ask.strict);
    this.changes = overrides(ask.overrideParams, ask.dialect === 'count_tokens');
    if (ask.body.value['model'] !== ask.model) this.changes.set('model', ask.model);
  }

  /** What is sent, as far as it is known now. */
  #now(name: string): Json | undefined {
    const changed = this.changes.get(name);
    return changed === undefined ? this.#ask.body.value[name] : (changed ?? undefined);
  }

  get #messages(): readonly Json[] {
    const messages = this.#now('messages');
    return Array.isArray(messages) ? messages : [];
  }

  /** Messages that the model would refuse. */
  clean(): void {
    const { capabilities } = this.#ask;
    const own = withoutForeign(this.#messages);
    if (own !== null) {
      this.#wasForeign = true;
      this.changes.set('messages', own);
    }
    const moved = capabilities.laterSystem ? null : hoisted(this.#now('system'), this.#messages);
    if (moved !== null) {
      this.changes.set('messages', moved.messages);
      if (moved.system !== '') this.changes.set('system', moved.system);
    }
    const isCount = this.#ask.dialect === 'count_tokens';
    if (!isCount && !capabilities.prefill && endsInPrefill(this.#messages)) {
      throw new Unsupported(
        'messages',
        'A conversation that ends with an assistant message is not supported.',
      );
    }
  }

  /** No answer is longer than the model can write. */
  bound(): void {
    const { maxOutput } = this.#ask.capabilities;
    const most = this.#now('max_tokens');
    if (maxOutput !== null && typeof most === 'number' && most > maxOutput) {
      this.changes.set('max_tokens', maxOutput);
    }
  }

  /** A choice of tools that forces a call, where that is refused. */
  choose(): void {
    const choice = this.#now('tool_choice');
    if (this.#ask.capabilities.forcedTools || !isForced(choice)) return;
    this.drops.drop('tool_choice', 'A tool choice that forces a call is not supported.');
    const { type, name, ...others } = choice;
    this.changes.set('tool_choice', { type: 'auto', ...others });
    const tools = this.#now('tools');
    if (type !== 'tool' || !Array.isArray(tools)) return;
    const named = tools.filter((tool) => isJsonObject(tool) && tool['name'] === name);
    if (named.length > 0) this.changes.set('tools', named);
  }

  think(): void {
    const { capabilities, overrideParams } = this.#ask;
    const told = this.#now('max_tokens');
    const lacking = () => messagesLackThinking(this.#messages);
    const rules = {
      capabilities,
      maxTokens: typeof told === 'number' ? told : Infinity,
      forcesTool: isForced(this.#now('tool_choice')),
      drops: this.drops,
    };
    const config = this.#now('output_config');
    const effort = EFFORTS.find((one) => one === overrideParams['reasoning_effort']);
    const thinking = this.#now('thinking');
    if (effort !== undefined) {
      this.#add(overrideThinking(effort, config, { ...rules, lacksThinking: lacking() }));
      return;
    }
    // What a client says for this very model is its own affair, right or wrong.
    const isAdapted = this.#wasForeign || (isJsonObject(thinking) && thinking['type'] !== 'enabled');
    const lacksThinking = isAdapted && lacking();
    this.#add(adaptThinking({ thinking, outputConfig: config }, { ...rules, lacksThinking }));
  }

  /** How the answer is sampled, as far as the model takes it. What is wrong with it by the client's own doing stays for Anthropic to say. */
  sample(): void {
    const { capabilities, overrideParams } = this.#ask;
    const thinking = this.#now('thinking');
    const thinks =
      isJsonObject(thinking) && (thinking['type'] === 'enabled' || thinking['type'] === 'adaptive');
    const isOurs =
      SAMPLING.some((name) => overrideParams[name] != null) || (thinks && this.changes.has('thinking'));
    for (const name of SAMPLING) {
      if (capabilities.refuses.has(name) || (thinks && isOurs)) this.#leaveOut(name);
    }
    const isHot = typeof this.#now('temperature') === 'number' && typeof this.#now('top_p') === 'number';
    // Together they are a 400. What the target says holds before what the client does.
    if (isHot && isOurs) this.#leaveOut(overrideParams['top_p'] == null ? 'top_p' : 'temperature');
  }

  /** 1 is what holds without a word. What the target says was not asked for by the client. */
  #leaveOut(name: (typeof SAMPLING)[number]): void {
    const value = this.#ask.body.value[name];
    if (this.#now(name) === undefined) return;
    if (value != null && (value !== 1 || name === 'top_k')) this.drops.drop(name);
    this.changes.set(name, null);
  }

  /** Marks for the prompt cache where there is room for them. */
  mark(): void {
    if (!this.#ask.cacheMarkers) return;
    this.#add(markMessages({ ...this.#ask.body.value, ...Object.fromEntries(this.changes) }));
  }

  #add(changes: ReadonlyMap<string, Json>): void {
    for (const [name, value] of changes) this.changes.set(name, value);
  }
}

function isForced(choice: Json | undefined): choice is JsonObject {
  return isJsonObject(choice) && (choice['type'] === 'any' || choice['type'] === 'tool');
}
