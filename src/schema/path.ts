/** Where something stands below the root: keys of maps and indexes of lists. */
export type Path = readonly (string | number)[];

/** `models.smart.targets[0]`; keys that are not plain words stand in brackets: `models["gpt-4.1"]`. `start`: what it goes on from. */
export function formatPath(path: Path, start = ''): string {
  let text = start;
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (!/^[\w-]+$/.test(step)) text += `[${JSON.stringify(step)}]`;
    else text += text === '' ? step : `.${step}`;
  }
  return text;
}
