// Which kinds of candidates this browser finds with the gateway's servers, without anybody to call.

export interface Found {
  host: boolean;
  srflx: boolean;
  relay: boolean;
}

/** STUN gives up after some 10 s; what was not found by then is not there. */
const GATHER_TIMEOUT_MS = 8_000;

export async function gather(iceServers: RTCIceServer[]): Promise<Found> {
  const connection = new RTCPeerConnection({ iceServers });
  const found: Found = { host: false, srflx: false, relay: false };
  try {
    await new Promise<void>((resolve) => {
      setTimeout(resolve, GATHER_TIMEOUT_MS);
      connection.addEventListener('icecandidate', ({ candidate }) => {
        if (candidate === null) {
          resolve();
          return;
        }
        // Firefox has no `type` on its candidates, but in their text.
        const type = / typ (\w+)/.exec(candidate.candidate)?.[1];
        if (type === 'host' || type === 'srflx' || type === 'relay') found[type] = true;
      });
      connection.createDataChannel('');
      connection.setLocalDescription().catch(() => {
        resolve();
      });
    });
  } finally {
    connection.close();
  }
  return found;
}
