/** Replaces secrets in text that others wrote, before it is logged or shown. */
export type Redact = (text: string) => string;

/** Shorter ones would blot out ordinary words. Characters. */
const SHORTEST_SECRET = 6;

/** From so many on, each place of a text is looked up among them, instead of each of them in the text: thousands cost no more than that. */
const MANY = 64;

const REDACTED = '[redacted]';

/** Makes a `Redact` for these secrets, also as they stand in JSON text and in a URL. */
export function makeRedact(secrets: readonly string[]): Redact {
  const forms = new Set<string>();
  for (const secret of secrets) {
    if (secret.length < SHORTEST_SECRET) continue;
    for (const form of [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)])
      forms.add(form);
  }
  if (forms.size === 0) return (text) => text;
  // Longest first: where one secret is the beginning of another, the whole of the longer one goes.
  const ordered = [...forms].sort((a, b) => b.length - a.length);
  return ordered.length < MANY ? eachInText(ordered) : placesOfText(ordered);
}

function eachInText(forms: readonly string[]): Redact {
  return (text) => {
    let cleaned = text;
    for (const form of forms) if (cleaned.includes(form)) cleaned = cleaned.replaceAll(form, REDACTED);
    return cleaned;
  };
}

/** `forms`: the longest first. Those that overlap in the text go together. */
function placesOfText(forms: readonly string[]): Redact {
  const byStart = new Map<string, string[]>();
  for (const form of forms) {
    const start = form.slice(0, SHORTEST_SECRET);
    const alike = byStart.get(start);
    if (alike === undefined) byStart.set(start, [form]);
    else alike.push(form);
  }
  return (text) => {
    let cleaned = '';
    /** Up to here the text is in `cleaned`, or hidden. */
    let done = 0;
    for (let at = 0; at + SHORTEST_SECRET <= text.length; at++) {
      const alike = byStart.get(text.slice(at, at + SHORTEST_SECRET));
      const found = alike?.find((form) => text.startsWith(form, at));
      if (found === undefined) continue;
      if (at >= done) cleaned += text.slice(done, at) + REDACTED;
      done = Math.max(done, at + found.length);
    }
    return cleaned + text.slice(done);
  };
}
