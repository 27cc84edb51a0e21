import { type AnswerReader, type Ask, type Prepared, Unsupported } from '../adapter.ts';
import type { HostQuirks } from '../presets.ts';
import { chatAnswer } from './chat-answer.ts';
import { fitChat, paramOf } from './chat-body.ts';
import { embeddingsAnswer, fitEmbeddings } from './embeddings.ts';
import { fitResponses, responsesAnswer } from './responses.ts';

const NO_HEADERS: readonly string[] = [];

/** A call to a host of OpenAI's dialects, by OpenAI's own paths. */
export function prepareCall(ask: Ask, quirks: HostQuirks): Prepared {
  switch (ask.dialect) {
    case 'chat': {
      const choices = choicesAsked(ask);
      return {
        ...fitChat(ask, quirks),
        path: pathOf(ask, quirks),
        headers: NO_HEADERS,
        echoes: ask.goesOn === true && quirks.echoes === true,
        answer: choices === 1 ? answerOfOne : answerOf(choices),
      };
    }
    case 'responses':
      return { ...fitResponses(ask), path: '/responses', headers: NO_HEADERS, answer: responsesAnswer };
    case 'embeddings':
      return { ...fitEmbeddings(ask), path: '/embeddings', headers: NO_HEADERS, answer: embeddingsAnswer };
    default:
      throw new Unsupported('model', 'This kind of request is not supported.');
  }
}

function answerOf(choices: number): () => AnswerReader {
  const reader = chatAnswer(choices);
  return () => reader;
}

const answerOfOne = answerOf(1);

function pathOf({ goesOn, provider }: Ask, { goesOnAt }: HostQuirks): string {
  const path = '/chat/completions';
  if (goesOn !== true || goesOnAt === undefined) return path;
  // A base URL with a path of its own is that of another version of the API, or of the beta itself.
  return new URL(provider.baseUrl).pathname === '/' ? goesOnAt : path;
}

function choicesAsked(ask: Ask): number {
  const n = paramOf(ask, 'n');
  return typeof n === 'number' && n > 1 ? n : 1;
}
