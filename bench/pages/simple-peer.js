// A page that calls with simple-peer over bare ws: its signals as JSON, to whom they are for.
/* global window, WebSocket */
import '/simple-peer.js';

let socket;
let peer = null;

function begin(to, initiator) {
  const made = new window.SimplePeer({ initiator, config: { iceServers: [] } });
  made.on('signal', (data) => socket.send(JSON.stringify({ to, event: 'signal', data })));
  made.on('error', () => {});
  made.on('close', () => peer === made && (peer = null));
  return made;
}

window.connect = ({ url, id }) =>
  new Promise((resolve, reject) => {
    socket = new WebSocket(`${url}/?id=${id}`);
    socket.onopen = () => resolve();
    socket.onerror = reject;
    socket.onmessage = ({ data: text }) => {
      const { from, data } = JSON.parse(text);
      if (peer === null && data.type === 'offer') peer = begin(from, false);
      peer?.signal(data);
    };
  });

window.call = (to) =>
  new Promise((resolve, reject) => {
    const began = performance.now();
    peer = begin(to, true);
    peer.on('connect', () => resolve(performance.now() - began));
    peer.on('error', reject);
  });

window.hangUp = () => peer?.destroy();
