import { type Ask, type Prepared, Unsupported } from '../adapter.ts';
import type { HostQuirks } from '../presets.ts';
import { chatAnswer } from './chat-answer.ts';
import { fitChat, paramsOf } from './chat-body.ts';
import { embeddingsAnswer, fitEmbeddings } from './embeddings.ts';
import { fitResponses, responsesAnswer } from './responses.ts';

/** A call to a host of OpenAI's dialects, by OpenAI's own paths. */
export function prepareCall(ask: Ask, quirks: HostQuirks): Prepared {
  switch (ask.dialect) {
    case 'chat': {
      const choices = choicesAsked(ask);
      const fitted = fitChat(ask, quirks);
      return { path: '/chat/completions', headers: [], ...fitted, answer: () => chatAnswer(choices) };
    }
    case 'responses':
      return { path: '/responses', headers: [], ...fitResponses(ask), answer: responsesAnswer };
    case 'embeddings':
      return { path: '/embeddings', headers: [], ...fitEmbeddings(ask), answer: embeddingsAnswer };
    default:
      throw new Unsupported('model', 'This kind of request is not supported.');
  }
}

function choicesAsked(ask: Ask): number {
  const n = paramsOf(ask)('n');
  return typeof n === 'number' && n > 1 ? n : 1;
}
