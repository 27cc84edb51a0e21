/** Yardstick: what node:http and undici cost when nothing else is done. Usage: node http.ts UPSTREAM_ORIGIN */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Agent } from 'undici';

const origin = process.argv[2] as string;
const agent = new Agent();

const server = createServer((request, response) => {
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => {
    agent
      .stream(
        {
          origin,
          path: request.url ?? '/',
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts),
          opaque: response,
        },
        ({ statusCode, headers, opaque }) => {
          const out = opaque as ServerResponse;
          const passed: Record<string, string | string[]> = {};
          for (const name of ['content-type', 'content-length']) {
            const value = headers[name];
            if (value !== undefined) passed[name] = value;
          }
          out.writeHead(statusCode, passed);
          return out;
        },
      )
      .catch(() => response.destroy());
  });
});

server.listen(0, '127.0.0.1', 4096, () => {
  const { port } = server.address() as AddressInfo;
  console.log(JSON.stringify({ msg: 'listening', listen: `http://127.0.0.1:${port}` }));
});

// By itself, so that Node writes a profile where one was asked for.
process.on('SIGTERM', () => process.exit(0));
