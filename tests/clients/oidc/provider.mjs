// A real OpenID provider for sso_test.py: https on loopback, one native client, people by login name.
// node provider.mjs PACKAGE CHAIN KEY: prints its issuer, runs until its input ends.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { createServer as plain } from 'node:net';

const [, , where, chain, key] = process.argv;
const { Provider } = await import(where + '/lib/index.js');

const port = await new Promise((done) => {
  const probe = plain().listen(0, '127.0.0.1', () => {
    const { port } = probe.address();
    probe.close(() => done(port));
  });
});
const issuer = `https://127.0.0.1:${port}`;
const provider = new Provider(issuer, {
  clients: [{
    client_id: 'bastide', application_type: 'native', token_endpoint_auth_method: 'none', redirect_uris: ['http://127.0.0.1/callback'],
    grant_types: ['authorization_code', 'urn:ietf:params:oauth:grant-type:device_code'], response_types: ['code'], id_token_signed_response_alg: 'RS256',
  }],
  conformIdTokenClaims: false,
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  pkce: { required: () => true },
  features: { deviceFlow: { enabled: true }, devInteractions: { enabled: true } },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, email: `${id}@example.com`, email_verified: id !== 'unverified', name: id }) }),
});
createServer({ cert: readFileSync(chain), key: readFileSync(key) }, provider.callback()).listen(port, '127.0.0.1', () => console.log(issuer));
process.stdin.resume().on('end', () => process.exit(0));
