/** Yardstick: a relay on Fastify that parses what it relays and does nothing with it, but for a model with a provider of its own. Usage: node fastify.ts UPSTREAM_ORIGIN */
import fastify from 'fastify';
import { Agent } from 'undici';

const origin = process.argv[2] as string;
const originOfOther = process.env['BENCH_OTHER_UPSTREAM'] ?? origin;
const agent = new Agent();
const app = fastify({ bodyLimit: 32 * 1024 * 1024 });

app.removeAllContentTypeParsers();
app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) =>
  done(null, body),
);

app.post('/v1/chat/completions', async (request, reply) => {
  const body = request.body as Buffer;
  const asked = JSON.parse(body.toString()) as { model: string; stream?: boolean };
  const answer = await agent.request({
    origin: asked.model === 'other' ? originOfOther : origin,
    path: request.url,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  });
  reply.code(answer.statusCode).header('content-type', answer.headers['content-type']);
  if (asked.stream === true) return reply.send(answer.body);
  const text = await answer.body.text();
  JSON.parse(text);
  return reply.send(text);
});

// What probes ask for: it takes nothing but this process.
app.get('/v1/models', () => ({ object: 'list', data: [] }));

// As many connections may be waiting to be let in as at the gateway.
await app.listen({ port: 0, host: '127.0.0.1', backlog: 4096 });
console.log(JSON.stringify({ msg: 'listening', listen: app.listeningOrigin }));

// By itself, so that Node writes a profile where one was asked for.
process.on('SIGTERM', () => process.exit(0));
