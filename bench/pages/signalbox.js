// A page that calls with signalbox's SDK.
/* global window */
import { Client } from '/sdk/client.js';

let client;
let peer = null;

window.connect = async ({ url, token, standing = false }) => {
  client = new Client(url, { token });
  await client.connect();
  // Code that pages load when they first use it is there before the clock runs, as the others' is.
  await client.onPeer((called) => (peer = called), { iceServers: [] }, { standing });
};

window.call = async (to) => {
  const began = performance.now();
  peer = await client.peer(to, { iceServers: [] });
  await peer.createDataChannel('bench');
  return performance.now() - began;
};

window.hangUp = () => peer?.close();
