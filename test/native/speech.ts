/** What stand-ins for providers answer: whole or in a stream, by the path that they are asked on. */
import { plain, type Script, type StreamItem, stream } from '../support/upstream.ts';
import type { Saying, Speech } from './saying.ts';
import { chatEvents, chatWhole, responseEvents, responseWhole } from './words-of-openai.ts';
import {
  converseEvents,
  converseWhole,
  geminiEvents,
  geminiWhole,
  messagesEvents,
  messagesWhole,
} from './words-of-others.ts';

/** In which words a path is asked for an answer. */
export function speechOf(path: string): Speech {
  if (path.includes('/chat/completions')) return 'chat';
  if (path.includes('/responses')) return 'responses';
  if (path.includes('/messages')) return 'messages';
  return path.includes('/converse') ? 'converse' : 'gemini';
}

/** Where an answer is asked for as a stream, the path or the body says so. */
export function asksForStream({ path, body }: { path: string; body: Buffer }): boolean {
  return /converse-stream$|:streamGenerateContent/.test(path) || /"stream": ?true/.test(body.toString());
}

/** A whole answer. */
export function wholeAnswer(speech: Speech, saying: Saying, model = 'up'): object {
  switch (speech) {
    case 'chat':
      return chatWhole(saying, model);
    case 'responses':
      return responseWhole(saying, model);
    case 'messages':
      return messagesWhole(saying, model);
    case 'converse':
      return converseWhole(saying);
    case 'gemini':
      return geminiWhole(saying, model);
  }
}

/** The events of a stream, each as its bytes; an end mark among them where the provider has one. */
export function streamEvents(speech: Speech, saying: Saying, model = 'up'): Buffer[] {
  switch (speech) {
    case 'chat':
      return chatEvents(saying, model).map((event) => Buffer.from(event));
    case 'responses':
      return responseEvents(saying, model).map((event) => Buffer.from(event));
    case 'messages':
      return messagesEvents(saying, model).map((event) => Buffer.from(event));
    case 'converse':
      return converseEvents(saying);
    case 'gemini':
      return geminiEvents(saying, model).map((event) => Buffer.from(event));
  }
}

/** Bytes, and steps between them, as that provider streams. */
export function streamOf(speech: Speech, items: readonly StreamItem[]): Script {
  const type = speech === 'converse' ? 'application/vnd.amazon.eventstream' : 'text/event-stream';
  return stream(items, { done: false, headers: { 'content-type': type } });
}

/** The answer to a request, in the way and words in which it asks. */
export function answerTo(request: { path: string; body: Buffer }, saying: Saying): Script {
  const speech = speechOf(request.path);
  if (asksForStream(request)) return streamOf(speech, streamEvents(speech, saying));
  return plain({ json: wholeAnswer(speech, saying) });
}
