/** Runs the gateway as if `src/main.ts` had been started itself. */
export async function serve(args: readonly string[]): Promise<void> {
  process.argv = [...process.argv.slice(0, 2), ...args];
  await import('../main.ts');
}
