// PeerServer, the signaling server of PeerJS: a JSON message with a type of WebRTC signaling goes to the client that it names.
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('../servers/peer-server.mjs', import.meta.url));
const KEY = 'peerjs';

export const peerServerDriver = {
  binary: false,
  tail: 2,
  open: (port, id) => ({
    url: `ws://127.0.0.1:${port}/peerjs?key=${KEY}&id=${id}&token=token-${id}&version=1.5.0`,
  }),
  greet(_end, bytes) {
    const { type } = JSON.parse(bytes);
    if (type === 'OPEN') return true;
    throw new Error(`PeerServer said ${type}`);
  },
  /** The server writes the true sender into `src`. */
  write: (to, payload) => Buffer.from(JSON.stringify({ type: 'CANDIDATE', src: '', dst: to, payload })),
  isMessage: (bytes) => bytes.includes('"CANDIDATE"'),
  control(_socket, bytes) {
    throw new Error(`PeerServer said ${bytes.toString().slice(0, 100)}`);
  },
  verify(bytes, from, payload) {
    const message = JSON.parse(bytes);
    return message.src === from && message.payload === payload;
  },
};

export const peerServer = {
  name: 'peer-server',
  label: 'peer-server/1',
  workers: 1,
  driver: 'peer-server',
  notes: ['peer-server with raised limits: concurrent_limit=20000'],
  server: ([port]) => ({ script, env: { PORT: String(port) } }),
  isReady: async (_ports, output) => output.includes('ready'),
};
