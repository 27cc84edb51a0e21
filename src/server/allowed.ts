/** Tells the methods that a path takes, from a table where `:name` stands for any one segment. Null: there is nothing there. */
export function allowedMethods(
  table: Readonly<Record<string, readonly string[]>>,
): (path: string) => readonly string[] | null {
  const patterns = Object.entries(table)
    .filter(([path]) => path.includes(':'))
    .map(([path, methods]) => ({
      pattern: new RegExp(`^${path.replaceAll(/:\w+/g, '[^/]+')}$`),
      methods,
    }));
  return (path) => {
    if (Object.hasOwn(table, path)) return table[path] ?? null;
    return patterns.find(({ pattern }) => pattern.test(path))?.methods ?? null;
  };
}
