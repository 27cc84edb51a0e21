/** What a worker process runs. */

// A terminal, or whoever stops a container, may tell the whole group. What is to be done, the primary says; and not even while the parts are brought in does a worker
// end by itself.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => {});

await import('./worker.ts');
