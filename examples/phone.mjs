// A telephone: node examples/phone.mjs, then open the address that it prints in two tabs, under two names, and call.
//
// Who is called hears it ring in every page that is open under that name, and takes the call in one of them, or declines it. With a phone, or
// between networks that let no call through: the first lines of call.mjs, with 8084 for 8082.
import { clientOf, token } from './gateway.mjs';
import { servePage } from './page-server.mjs';

const NAME = /^[a-z0-9._-]{1,32}$/i;

/** The backend knows who its user is, and says so in the token. Here everybody is who they say they are. */
function user({ headers }, parameters) {
  const name = clientOf(headers.authorization?.replace('Bearer ', '')) ?? parameters.get('name');
  if (!NAME.test(name ?? '')) return null;
  // Who is called answers, so each must be able to send to the other.
  return token(name, { send: ['*'], turn: true, rooms: { join: ['phones'], presence: ['phones'] } });
}

const page = await servePage({
  port: 8084,
  files: ['phone.html', 'call.css', 'phone.css', 'phone-page.js', 'phone-line.js', 'call-devices.js'],
  tokenFor: user,
});
console.log(`Open ${page} in two tabs, under two names. Ctrl-C ends.`);
