// Chat in a terminal: node examples/chat.mjs alice   (and bob in a second terminal)
import { createInterface } from 'node:readline';
import { gateway, token } from './gateway.mjs';

const [name = `guest-${process.pid}`, roomName = 'lobby'] = process.argv.slice(2);
const url = await gateway();
const { Client } = await import('../dist/client/index.js');
// A backend would give out tokens with no more than this: the one room, and who is in it.
const rooms = { join: [roomName], publish: [roomName], presence: [roomName] };
const client = new Client(url, { token: () => token(name, { rooms }) });
const room = client.room(roomName);
const terminal = createInterface({ input: process.stdin, output: process.stdout, prompt: `${name}> ` });

let over = false;

function show(line) {
  process.stdout.write(`\r\x1b[K${line}\n`);
  if (!over) terminal.prompt(true);
}

client.on('state', (state, { error } = {}) => {
  if (state !== 'connected') show(`… ${state}${error ? `: ${error.message}` : ''}`);
});
client.on('error', (error) => show(`! ${error.code ?? error.name}: ${error.message}`));
room.onMessage('chat', (text, from) => show(`${from.client}: ${text}`));
room.onPresence(({ joined, left }) => {
  for (const who of joined) if (who !== name) show(`* ${who} came`);
  for (const who of left) show(`* ${who} left`);
});

await client.connect();
await room.join();
const { members } = await room.members();
show(
  `* you are ${name} in ${roomName} with ${
    members
      .map(({ client: id }) => id)
      .filter((id) => id !== name)
      .join(', ') || 'nobody yet'
  }; an empty line ends`,
);

terminal.on('line', (line) => {
  if (line.trim() === '') {
    terminal.close();
    return;
  }
  room.publish('chat', line, { self: false }).catch((error) => show(`! ${error.code}: ${error.message}`));
  terminal.prompt();
});
terminal.on('close', async () => {
  over = true;
  await client.close();
  process.exit(0);
});
