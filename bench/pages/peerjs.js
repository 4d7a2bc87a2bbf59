// A page that calls with PeerJS.
/* global window */
import '/peerjs.js';

let peer;
let connection = null;

window.connect = ({ port, id }) =>
  new Promise((resolve, reject) => {
    peer = new window.peerjs.Peer(id, { host: '127.0.0.1', port, path: '/', config: { iceServers: [] } });
    peer.on('open', () => resolve());
    peer.on('error', (error) => reject(new Error(error.type)));
    peer.on('connection', (made) => (connection = made));
  });

window.call = (to) =>
  new Promise((resolve, reject) => {
    const began = performance.now();
    connection = peer.connect(to, { reliable: true });
    connection.on('open', () => resolve(performance.now() - began));
    connection.on('error', reject);
  });

window.hangUp = () => connection?.close();
