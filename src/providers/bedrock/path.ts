/**
 * The path of an operation on a model. Its id is encoded once here, as the vendor's SDKs do: colons and slashes (of an ARN) too, and what
 * `encodeURIComponent` leaves. Whoever signs the call encodes the path a second time.
 */
export function modelPath(model: string, operation: string): string {
  const id = encodeURIComponent(model).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `/model/${id}/${operation}`;
}
