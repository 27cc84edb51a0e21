/** Is it the answer that the stand-in gave? None is measured for errors that it makes quickly. */
import { ANSWER_TEXT, PIECE, PIECES } from '../answers/words.ts';
import type { Asked } from '../client.ts';
import type { Dialect } from '../loads.ts';

interface Said {
  choices?: { message?: { content?: string }; delta?: { content?: string } }[];
  content?: { text?: string }[];
  delta?: { text?: string };
}

const LAST: Readonly<Record<Dialect, string>> = {
  chat: 'data: [DONE]',
  messages: 'data: {"type":"message_stop"}',
};

/** What is wrong with the answer, or null. */
export async function wrongWith(
  { url, headers, body }: Asked,
  dialect: Dialect,
  streamed: boolean,
): Promise<string | null> {
  try {
    const answer = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body,
      signal: AbortSignal.timeout(10_000),
    });
    const text = await answer.text();
    if (answer.status !== 200) return `it answered ${answer.status}: ${text.slice(0, 300)}`;
    return streamed ? wrongWithStream(text, dialect) : wrongWithWhole(text, dialect);
  } catch (error) {
    return `it did not answer: ${(error as Error).message}`;
  }
}

function wrongWithWhole(text: string, dialect: Dialect): string | null {
  const said = JSON.parse(text) as Said;
  const content = dialect === 'chat' ? said.choices?.[0]?.message?.content : said.content?.[0]?.text;
  return content === ANSWER_TEXT ? null : `its answer is another one: ${text.slice(0, 300)}`;
}

function wrongWithStream(text: string, dialect: Dialect): string | null {
  if (!text.trimEnd().endsWith(LAST[dialect])) return `its stream does not end with ${LAST[dialect]}`;
  const events = [...text.matchAll(/^data: (\{.*)$/gm)].map(([, json = '']) => JSON.parse(json) as Said);
  const pieces = events.map(({ choices, delta }) =>
    dialect === 'chat' ? choices?.[0]?.delta?.content : delta?.text,
  );
  const content = pieces.filter((piece) => piece !== undefined && piece !== '');
  if (content.length !== PIECES + 1)
    return `its stream has ${content.length} pieces of content, not ${PIECES + 1}`;
  return content.slice(1).every((piece) => piece === PIECE) ? null : 'its stream says something else';
}
