/** Media types by Converse's word for the format. */
const FORMATS: Readonly<Record<string, string>> = {
  'application/pdf': 'pdf',
  'application/msword': 'doc',
  'application/vnd.openxmlformats-officedocument.wordprocessingml.document': 'docx',
  'application/vnd.ms-excel': 'xls',
  'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet': 'xlsx',
  'text/csv': 'csv',
  'application/csv': 'csv',
  'text/html': 'html',
  'text/markdown': 'md',
  'text/plain': 'txt',
  'application/json': 'txt',
  'application/xml': 'txt',
};

const ENDINGS = new Set(Object.values(FORMATS));

/** A document's format; null for what no model reads as a document. */
export function documentFormat(mediaType: string): string | null {
  const type = mediaType.toLowerCase();
  if (Object.hasOwn(FORMATS, type)) return FORMATS[type] ?? null;
  return type.startsWith('text/') ? 'txt' : null;
}

/** The same by the ending of a name or URL. */
export function documentFormatOfName(name: string): string | null {
  const ending = /\.([a-z]{2,4})$/i.exec(name)?.[1]?.toLowerCase() ?? '';
  return ENDINGS.has(ending) ? ending : null;
}

/** AWS's bound. Characters. */
const LONGEST_NAME = 200;

/** Names documents as Converse wants them: letters, digits, single spaces, hyphens, round and square brackets, and none twice in a request. */
export class DocumentNames {
  readonly #given = new Set<string>();

  name(filename: string | null): string {
    const clean = (filename ?? '')
      .slice(0, 1000)
      .replace(/\.[A-Za-z0-9]{1,5}$/, '')
      .replace(/[^A-Za-z0-9()[\]-]+/g, ' ')
      .trim()
      .slice(0, LONGEST_NAME - 10)
      .trim();
    const base = clean === '' ? 'document' : clean;
    let name = base;
    for (let number = 2; this.#given.has(name); number++) name = `${base} (${number})`;
    this.#given.add(name);
    return name;
  }
}
