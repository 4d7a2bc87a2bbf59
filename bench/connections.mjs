// Opens many connections of one driver, a few handshakes at a time.
import WebSocket from 'ws';

const HANDSHAKE_LIMIT_MS = 20_000;

export async function connectAll({ driver, port, ids, atOnce, noteFault }) {
  const ends = new Array(ids.length);
  let next = 0;
  const connectSome = async () => {
    while (next < ids.length) {
      const index = next++;
      ends[index] = await connect(driver, port, ids[index], noteFault);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, connectSome));
  return ends;
}

function connect(driver, port, id, noteFault) {
  const { url, protocols = [], hello } = driver.open(port, id);
  const socket = new WebSocket(url, protocols, { perMessageDeflate: false, skipUTF8Validation: true });
  const end = { id, socket, localPort: 0, onMessage: null };
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`no handshake within ${HANDSHAKE_LIMIT_MS} ms`)),
      HANDSHAKE_LIMIT_MS,
    );
    let done = false;
    const finish = () => {
      done = true;
      clearTimeout(timer);
      resolve(end);
    };
    socket.on('upgrade', (response) => (end.localPort = response.socket.localPort));
    socket.on('open', () => {
      if (hello !== undefined) socket.send(hello);
      if (driver.greet === null) finish();
    });
    socket.on('message', (bytes) => {
      try {
        if (!done) {
          if (driver.greet(socket, bytes, id)) finish();
        } else if (driver.isMessage(bytes)) end.onMessage?.(bytes);
        else driver.control(socket, bytes);
      } catch (error) {
        noteFault(error.message);
        reject(error);
      }
    });
    socket.on('error', reject);
    socket.on('close', (code) => {
      noteFault(`a connection closed with ${code}`);
      reject(new Error(`closed with ${code} during the handshake`));
    });
  });
}
