import { z } from 'zod';
import { choice, count, durationOrZero, read, secret, size } from '../schema/kit.ts';
import type { Address } from './settings.ts';

/** `host:port`; an IPv6 host stands in brackets. Null for anything else. */
export function parseAddress(text: string): Address | null {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([a-zA-Z0-9._-]+)):(\d{1,5})$/.exec(text.trim());
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  return host === undefined || port > 65_535 ? null : { host, port };
}

/** Can only this machine reach it? */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

const address = () =>
  read('an address such as 0.0.0.0:8080 or "[::1]:8080"', 'host:port', (value) =>
    typeof value === 'string' ? parseAddress(value) : null,
  );

export const listenSchema = address().prefault('0.0.0.0:8080').describe('what clients talk to');

export const adminSchema = z
  .strictObject({
    listen: address()
      .prefault('127.0.0.1:9090')
      .describe('what operators talk to: `/metrics`, `/livez`, `/readyz`, `/admin/*`'),
    token: secret()
      .prefault('')
      .describe('required as soon as `listen` is not loopback; probes and `/metrics` stay open'),
  })
  .prefault({});

export const serverSchema = z
  .strictObject({
    workers: read('1, a higher whole number, or auto', 'whole number or `auto`', (value) =>
      value === 'auto' || (Number.isInteger(value) && (value as number) >= 1)
        ? (value as number | 'auto')
        : null,
    )
      .prefault(1)
      .describe(
        'processes sharing the port, `auto` = one per core; more than 1 wants `state.redis` where there are quotas or limits of providers. See [workers.md](workers.md)',
      ),
    max_body: size().prefault('32mb').describe('the longest request body'),
    max_in_flight: count(1)
      .prefault(10_000)
      .describe('requests at a time, in each worker; one more is answered 503 with `retry-after` at once'),
    drain_timeout: durationOrZero().prefault('30s').describe('how long streams may go on after SIGTERM'),
    heartbeat: durationOrZero()
      .prefault('15s')
      .describe('`: ping` comments on a stream that has begun and fallen quiet; 0 = never'),
    forward_headers: z
      .array(z.string())
      .prefault([])
      .describe('client headers that go on to the upstream, by name'),
    tls: z
      .strictObject({
        cert: z.string().prefault('').describe('a PEM file: the certificate and those it hangs on'),
        key: z.string().prefault('').describe('a PEM file: its private key'),
      })
      .prefault({})
      .describe('both empty = plain HTTP'),
  })
  .prefault({});

export const logSchema = z
  .strictObject({
    level: choice(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
      .prefault('info')
      .describe('the least that is logged; `listening` is at any but `silent`'),
    request_bodies: z.boolean().prefault(false).describe('true: prompts and answers are logged'),
  })
  .prefault({});
