import { usageObject } from '../../chat/completion-parts.ts';
import { AfterPrefill, type Junction, SameAgain } from '../../chat/junction.ts';
import { isNothing, isReasoning, type Transcript } from '../../chat/transcript.ts';
import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import type { Usage } from '../../core/usage.ts';
import type { EventReader } from '../../providers/event-reader.ts';
import { bringsSomething, type Output } from '../../providers/openai/output.ts';
import type { TargetSettings } from '../../routing/target.ts';
import type { Continuing } from './continuing.ts';
import type { ContinueHow, Contribution } from './contribution.ts';
import { HeldTokens } from './held-tokens.ts';
import { citedFrom } from './shifted.ts';

/** What the client's stream has besides the text: it is one from its beginning to its end, whoever writes it. */
const OF_THE_FIRST: ReadonlySet<string> = new Set([
  'id',
  'object',
  'created',
  'model',
  'system_fingerprint',
  'service_tier',
]);

export interface ContinuationRules {
  continuing: Continuing;
  /** Of the target that goes on. */
  settings: TargetSettings;
  how: ContinueHow;
  /** The target gives back what it was to go on with. */
  echoes: boolean;
  wantsUsage: boolean;
}

/** Of one stream that goes on with an answer that broke: makes its chunks a part of that answer. One for each try. */
export class Continuation implements Contribution {
  readonly how: ContinueHow;
  readonly heard: Output = { characters: 0, reasoning: 0 };
  readonly passed: Output = { characters: 0, reasoning: 0 };
  /** What the chunk that was told last brings. */
  readonly output: Output = { characters: 0, reasoning: 0 };
  /** It is another answer than the one that was begun. */
  differs = false;
  readonly #rules: ContinuationRules;
  readonly #told: Transcript;
  readonly #junction: Junction;
  readonly #tokens = new HeldTokens();

  constructor(rules: ContinuationRules) {
    const { told } = rules.continuing;
    this.#rules = rules;
    this.how = rules.how;
    this.#told = told;
    this.#junction =
      rules.how === 'again' ? new SameAgain(told.text) : new AfterPrefill(told.text, rules.echoes);
  }

  /** The chunk as a part of the answer that was begun; null: it brings nothing that the client lacks, or `differs`. `reader`: has just read it. */
  tell(
    chunk: JsonObject,
    { usage, reportsUsage }: Pick<EventReader, 'usage' | 'reportsUsage'>,
  ): JsonObject | null {
    this.output.characters = 0;
    this.output.reasoning = 0;
    const choices: JsonObject[] = [];
    const given = chunk['choices'];
    let last = !Array.isArray(given) || given.length === 0;
    for (const choice of Array.isArray(given) ? given : []) {
      if (!isJsonObject(choice) || (choice['index'] ?? 0) !== 0) continue;
      const told = this.#tellChoice(choice);
      if (this.differs) return null;
      if (told === null) continue;
      choices.push(told);
      if (isText(told['finish_reason'])) last = true;
    }
    this.passed.characters += this.output.characters;
    const total = reportsUsage && usage !== null && last ? this.#total(usage) : null;
    if (choices.length === 0 && total === null) return null;
    return this.#withHead(chunk, choices, total);
  }

  /** The answer differs: noted, so that nobody else is asked for all of it in vain. */
  diverge(): void {
    this.differs = true;
    this.#rules.continuing.diverged = true;
  }

  #tellChoice(choice: JsonObject): JsonObject | null {
    const { delta, finish_reason: finish, logprobs } = choice;
    const told: JsonObject = {};
    let text: Json | undefined;
    if (isJsonObject(delta)) {
      bringsSomething(withoutMarks(delta), this.heard);
      text = delta['content'];
      this.#tellDelta(delta, told);
      if (this.differs) return null;
    }
    const finishes = isText(finish);
    if (finishes) this.#addRest(told);
    if (this.differs) return null;
    bringsSomething(withoutMarks(told), this.output);
    const tokens = this.#tokensOf(isText(text) ? text : undefined, told['content'], logprobs);
    if (!finishes && Object.keys(told).length === 0) return null;
    return {
      ...choice,
      delta: told,
      ...(logprobs === undefined && tokens === null ? {} : { logprobs: tokens }),
      finish_reason: finishes ? (finish as Json) : null,
    };
  }

  /** `text`: what came with `logprobs`. `told`: what is told of it, and of what was held back. */
  #tokensOf(text: string | undefined, told: Json | undefined, logprobs: Json | undefined): Json {
    if (text === told) return logprobs ?? null;
    if (this.#junction.held === 0) return this.#tokens.release(logprobs, told);
    this.#tokens.hold(logprobs);
    return null;
  }

  #tellDelta(delta: JsonObject, told: JsonObject): void {
    if (isText(delta['role']) && !this.#told.role) told['role'] = delta['role'];
    const text = delta['content'];
    if (isText(text)) {
      const fresh = this.#junction.take(text);
      if (fresh === null) {
        this.diverge();
        return;
      }
      if (fresh !== '') told['content'] = fresh;
    }
    for (const name in delta) {
      const value = delta[name];
      if (name === 'role' || (name === 'content' && typeof value === 'string') || isNothing(value)) continue;
      // Thoughts are told once.
      if (!isReasoning(name)) this.#tellMore(name, value as Json, told);
    }
  }

  /** What is no text: it comes after all of that which was told. */
  #tellMore(name: string, value: Json, told: JsonObject): void {
    if (name === 'thinking_blocks') {
      told[name] = value;
      return;
    }
    this.#addRest(told);
    if (this.differs) return;
    const from = this.#told.length - this.#junction.dropped;
    told[name] = name === 'annotations' ? citedFrom(value, from) : value;
  }

  /** No more text comes, or other things come now. */
  #addRest(told: JsonObject): void {
    const rest = this.#junction.end();
    if (rest === null) this.diverge();
    else if (rest !== '') told['content'] = rest + (isText(told['content']) ? told['content'] : '');
  }

  #total(reported: Usage): JsonObject {
    const { continuing, settings } = this.#rules;
    const { usage, cost } = continuing.total(settings, this, reported);
    return { ...usageObject(usage), ...(cost === null ? {} : { cost }) };
  }

  #withHead(chunk: JsonObject, choices: JsonObject[], total: JsonObject | null): JsonObject {
    const told: JsonObject = { ...this.#told.head };
    // Not by a spread: what is noted beside the JSON belongs to the other answer.
    for (const name in chunk) {
      if (OF_THE_FIRST.has(name) || name === 'usage' || name === 'x_groq') continue;
      told[name] = chunk[name] as Json;
    }
    told['choices'] = choices;
    if (this.#rules.wantsUsage) told['usage'] = total;
    return told;
  }
}

/** What must be handed back repeats what was told as a thought, or is no text. */
function withoutMarks(delta: JsonObject): JsonObject {
  const { thinking_blocks: blocks, extra_content: extra, ...rest } = delta;
  return blocks === undefined && extra === undefined ? delta : rest;
}

function isText(value: Json | undefined): value is string {
  return typeof value === 'string' && value !== '';
}
