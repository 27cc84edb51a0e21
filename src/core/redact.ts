/** Replaces secrets in text that others wrote, before it is logged or shown. */
export type Redact = (text: string) => string;

/** Shorter ones would blot out ordinary words. Characters. */
const SHORTEST_SECRET = 6;

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
  return (text) => {
    let cleaned = text;
    for (const form of ordered) if (cleaned.includes(form)) cleaned = cleaned.replaceAll(form, '[redacted]');
    return cleaned;
  };
}
