import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { type ConfigFiles, errorCode, NO_ROOM, TOO_LATE } from './files.ts';

/** What `${...}` is read from. */
export interface Surroundings {
  env: Readonly<Record<string, string | undefined>>;
  /** False: neither the environment nor a file is looked at, and what has no default is unknown. */
  readSecrets: boolean;
  /** Where relative paths begin. */
  directory: string;
  /** What reads the files that are named. */
  files: ConfigFiles;
}

export interface Substituted {
  text: string;
  /** `unknown`: a stand-in, because nothing is to be read. */
  origin: 'file' | 'substituted' | 'unknown';
  /** What was wrong, one sentence for each `${...}`. */
  problems: string[];
}

// biome-ignore lint/suspicious/noTemplateCurlyInString: the form as it is written in a file
const FORMS = '${NAME}, ${NAME:-text} or ${file:PATH} (and $${ stands for a plain ${)';

/** Replaces every `${...}` in a text. Done on values that YAML has already parsed, so no secret can change the structure. */
export function substitute(text: string, surroundings: Surroundings): Substituted {
  const result: Substituted = { text, origin: 'file', problems: [] };
  if (!text.includes('${')) return result;
  result.text = text.replaceAll(
    /\$\$\{|\$\{([^}]*)(\}?)/g,
    (whole, body: string | undefined, end: string) => {
      if (body === undefined) return '${';
      if (result.origin === 'file') result.origin = 'substituted';
      const value =
        end === '' ? { problem: `\${ is never closed; expected ${FORMS}` } : lookUp(body, surroundings);
      if (typeof value === 'string') return value;
      if (value === null) {
        result.origin = 'unknown';
        // Looks like a hash, an identifier or a text, whichever is asked for; two that are written alike are alike.
        return createHash('sha256').update(whole).digest('hex');
      }
      result.problems.push(value.problem);
      return '';
    },
  );
  return result;
}

/** What is named by `${file:...}` in a text, also where YAML would take it for a remark. */
export function filesNamedIn(text: string): string[] {
  return [...text.matchAll(/(?<!\$)\$\{file:([^}\n]*)\}/g)].flatMap(([, name = '']) => name.trim() || []);
}

/** The text behind one `${...}`; null if it is not to be read. */
function lookUp(
  body: string,
  { env, readSecrets, directory, files }: Surroundings,
): string | null | { problem: string } {
  if (body.startsWith('file:')) {
    const path = body.slice('file:'.length).trim();
    if (path === '') return { problem: `\${${body}} names no file; expected ${FORMS}` };
    if (!readSecrets) return null;
    try {
      return files.read(resolve(directory, path)).trim();
    } catch (error) {
      const code = errorCode(error);
      return { problem: `cannot read the file of \${${body}} (${code})${why(code)}` };
    }
  }
  const match = /^([A-Za-z_][A-Za-z0-9_]*)(:-(.*))?$/s.exec(body);
  if (match?.[1] === undefined) return { problem: `cannot make sense of \${${body}}; expected ${FORMS}` };
  const [, name, hasDefault, fallback = ''] = match;
  if (!readSecrets) return hasDefault === undefined ? null : fallback;
  const value = env[name];
  // As in a shell, a default also stands in for an empty value.
  if (hasDefault !== undefined) return value === undefined || value === '' ? fallback : value;
  if (value !== undefined) return value;
  return {
    problem: `the environment variable ${name} is not set; set it, or give a default with \${${name}:-text}`,
  };
}

function why(code: string): string {
  if (code === TOO_LATE) return '; it did not come in time: does a mount hang?';
  if (NO_ROOM.has(code)) return '; there is no room for another open file or process: look at their limits';
  return '';
}
