import { ApiError } from '../core/errors.ts';

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

/** Nothing is served at this path, or not by this method. `methods`: those that the path takes; null: it is none. `hint`: a sentence for who asked for none. */
export function notServed(
  method: string,
  path: string,
  methods: readonly string[] | null,
  hint = '',
): ApiError {
  if (methods === null) {
    return new ApiError('unknown_url', `There is nothing at ${method} ${path}. ${hint}`.trimEnd());
  }
  return new ApiError('method_not_allowed', `${method} is not allowed here; use ${methods.join(' or ')}.`, {
    headers: { allow: methods.join(', ') },
  });
}
