// A video call for up to six: node examples/call.mjs, then open the address that it prints in two to six tabs.
//
// With a phone. Browsers give cameras to pages of the machine itself or over TLS only. An Android phone on a cable reaches this machine as itself:
//   adb reverse tcp:8081 tcp:8081 && adb reverse tcp:8082 tcp:8082
// The cable carries the page and its messages, not what is seen and heard: for that phone and machine are in one network, or have a TURN server.
// Any other takes this machine's address in your network, and a certificate for it that the phone trusts (mkcert makes one, and an authority to install there):
//   HOST=192.168.1.5 TLS_CERT_FILE=cert.pem TLS_KEY_FILE=key.pem node examples/call.mjs
//
// Between networks that let no call through ("No way to … was found") a TURN server relays it (docs/operations.md#turn):
//   TURN_URLS=turn:turn.example.org:3478 TURN_SECRET=… node examples/call.mjs
import { randomBytes } from 'node:crypto';
import { clientOf, token } from './gateway.mjs';
import { servePage } from './page-server.mjs';

/** The backend knows who its user is, and says so in the token. Here everybody is a new guest, who stays the same by showing the last token. */
function guest({ headers }) {
  const name =
    clientOf(headers.authorization?.replace('Bearer ', '')) ?? `guest-${randomBytes(6).toString('hex')}`;
  return token(name, {
    send: ['guest-*'],
    turn: true,
    rooms: { join: ['call'], publish: ['call'], presence: ['call'] },
  });
}

const page = await servePage({
  port: 8082,
  files: ['call.html', 'call.css', 'call-page.js', 'call-tiles.js', 'call-devices.js'],
  tokenFor: guest,
});
console.log(`Open ${page} in two to six tabs. Ctrl-C ends.`);
