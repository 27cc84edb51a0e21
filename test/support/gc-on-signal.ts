/** Preloaded into a gateway under test (with --expose-gc): SIGUSR2 collects what is no longer used, so that memory can be compared. */
process.on('SIGUSR2', () => {
  const { gc } = globalThis as { gc?: () => void };
  if (gc === undefined) throw new Error('start with --expose-gc');
  gc();
});
