import { readFileSync } from 'node:fs';

function read(name: string): string {
  return readFileSync(new URL(`certificates/${name}`, import.meta.url), 'utf8');
}

const key = read('server-key.pem');

/** The private authority that signed both certificates. */
export const AUTHORITY = read('authority.pem');
/** For 127.0.0.1, localhost and upstream.test. */
export const SERVER = { key, cert: read('server.pem') };
/** For elsewhere.test only. */
export const ELSEWHERE = { key, cert: read('elsewhere.pem') };

/** The same files as a test's configuration names them. */
export const AUTHORITY_FILE = '../support/certificates/authority.pem';
export const SERVER_FILES = {
  cert: '../support/certificates/server.pem',
  key: '../support/certificates/server-key.pem',
};
