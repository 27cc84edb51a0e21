import type { ErrorCode } from 'yaml';

/**
 * What a YAML error means, in words that never quote the file: what stands at a syntax error may well be half a secret.
 */
const MESSAGES: Partial<Record<ErrorCode, string>> = {
  ALIAS_PROPS: 'an alias (*) takes neither an anchor nor a tag; a text that begins with * needs quotes',
  BAD_ALIAS: 'not an alias; a text that begins with * needs quotes',
  BAD_COLLECTION_TYPE: 'this tag does not fit the value; tags (!) are not used here',
  BAD_DIRECTIVE: 'a directive (%) that is not known; a text that begins with % needs quotes',
  BAD_DQ_ESCAPE: 'a \\ in double quotes that means nothing; use single quotes, or write \\\\',
  BAD_INDENT: 'the indentation does not fit what is above, or a bracket is not closed',
  BAD_SCALAR_START: 'a text that begins with this character needs quotes',
  BLOCK_AS_IMPLICIT_KEY: 'two keys on one line; a text that holds ": " needs quotes',
  BLOCK_IN_FLOW: 'a block cannot stand inside { } or [ ]',
  KEY_OVER_1024_CHARS: 'a key cannot be that long; is a quote missing?',
  MISSING_CHAR: 'something is missing here: a ":" after a key, or a closing quote or bracket',
  MULTIPLE_DOCS: 'a second document (---) begins here; a configuration is one document',
  MULTILINE_IMPLICIT_KEY: 'a key cannot go over several lines; is a ":" missing?',
  RESOURCE_EXHAUSTION: 'nested too deeply',
  TAB_AS_INDENT: 'a tab cannot indent; use spaces',
  TAG_RESOLVE_FAILED: 'tags (!) are not used here; a text that begins with ! needs quotes',
  UNEXPECTED_TOKEN: 'this cannot stand here; a bracket, comma or quote may be missing or too many',
};

export function syntaxMessage(code: ErrorCode, text: string, offset: number): string {
  const line = text.slice(text.lastIndexOf('\n', offset - 1) + 1).split('\n', 1)[0] ?? '';
  // `{ a: ${B} }` is the mistake that this file format invites.
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the form as it is written in a file
  const hint = /[{[].*\$\{/.test(line) ? '; inside { } or [ ] write "${NAME}" with quotes' : '';
  return `not valid YAML: ${MESSAGES[code] ?? 'cannot make sense of this'}${hint}`;
}
