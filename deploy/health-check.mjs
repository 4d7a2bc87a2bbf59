// Health check of the image: asks this container's gateway for /healthz, and exits with 0 when it says 200.
import { request as requestTls } from 'node:https';
import { request } from 'node:http';

const TIMEOUT_MS = 3000;

const { HOST, PORT, TLS_CERT_FILE } = process.env;
const host = HOST && HOST !== '0.0.0.0' && HOST !== '::' ? HOST : '127.0.0.1';
const options = {
  host,
  port: Number(PORT || 8080),
  path: '/healthz',
  timeout: TIMEOUT_MS,
  // The certificate names the public host, not this address; nothing secret is asked.
  rejectUnauthorized: false,
};
// Not fetch(): it cannot leave the name of a certificate unchecked for one request.
const asking = (TLS_CERT_FILE ? requestTls : request)(options, (response) => {
  process.exit(response.statusCode === 200 ? 0 : 1);
});
asking.on('timeout', () => process.exit(1));
asking.on('error', () => process.exit(1));
asking.end();
