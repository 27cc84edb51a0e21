/** Yardstick for workers: the relay on Fastify in two processes that share a port. Usage: node fastify-two.ts UPSTREAM_ORIGIN */
import cluster from 'node:cluster';
import { join } from 'node:path';

cluster.setupPrimary({ exec: join(import.meta.dirname, 'fastify.ts'), args: process.argv.slice(2) });
cluster.fork();
cluster.fork();

process.on('SIGTERM', () => process.exit(0));
