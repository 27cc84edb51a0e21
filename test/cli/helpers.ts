import { run } from '../../src/cli/main.ts';

/** Runs one command line in this process. */
export async function cli(args: string[], env: Record<string, string> = {}) {
  let out = '';
  let err = '';
  const status = await run(args, {
    env,
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
  });
  return { status, out, err };
}
