import { Unsupported } from '../chat/unsupported.ts';
import type { Json } from '../core/json.ts';
import { invalid, missing, parseBody } from './body.ts';
import type { ClientDialect } from './dialect.ts';
import { openaiError } from './openai-error.ts';

/** OpenAI's embeddings. There is no chat for them: only targets that speak them serve. */
export const embeddings: ClientDialect = {
  name: 'embeddings',
  maximum: null,

  read(bytes) {
    const body = parseBody(bytes);
    const { model, input } = body.value;
    if (model === undefined || model === null) throw missing('model');
    if (typeof model !== 'string' || model === '') throw invalid('model', 'a non-empty string');
    if (input === undefined || input === null) throw missing('input');
    checkInput(input);
    return {
      dialect: 'embeddings',
      body,
      model,
      streaming: false,
      wantsUsage: false,
      chat() {
        throw new Unsupported('model', "This model's targets have no embeddings.");
      },
    };
  },

  answer: () => neverAsked(),
  presenter: () => neverAsked(),
  error: openaiError,
};

function neverAsked(): never {
  throw new Error('Embeddings are relayed as they are: there is nothing to translate, and no stream.');
}

/** A text, a list of texts, the ids of a text's tokens, or a list of such lists. */
function checkInput(input: Json): void {
  if (typeof input === 'string') {
    if (input === '') throw invalid('input', 'a text that is not empty');
    return;
  }
  const expected = 'a string, a list of strings, a list of token ids, or a list of such lists';
  if (!Array.isArray(input)) throw invalid('input', expected);
  const [first] = input;
  if (first === undefined) throw invalid('input', 'at least one text');
  const right = typeof first === 'string' ? isText : Array.isArray(first) ? isTokens : isToken;
  const wrong = input.findIndex((one) => !right(one));
  if (wrong < 0) return;
  if (!isText(input[wrong]) && !isToken(input[wrong]) && !isTokens(input[wrong])) {
    const empty = input[wrong] === '' || (Array.isArray(input[wrong]) && input[wrong].length === 0);
    throw invalid(`input[${wrong}]`, empty ? 'a text that is not empty' : 'a string or token ids');
  }
  throw invalid(`input[${wrong}]`, 'the same kind as the first');
}

function isText(value: Json | undefined): boolean {
  return typeof value === 'string' && value !== '';
}

/** Of a token: an index into a vocabulary. */
function isToken(value: Json | undefined): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isTokens(value: Json | undefined): boolean {
  return Array.isArray(value) && value.length > 0 && value.every(isToken);
}
