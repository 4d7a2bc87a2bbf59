// Opens many connections of one driver, a few handshakes at a time.
import WebSocket from 'ws';

const HANDSHAKE_LIMIT_MS = 20_000;

/**
 * @param ports of the server, or of several: clients are dealt out in turn
 * @param rooms the room of each client, where it has one
 */
export async function connectAll({ driver, ports, ids, rooms = [], atOnce, noteFault }) {
  const ends = new Array(ids.length);
  let next = 0;
  const connectSome = async () => {
    while (next < ids.length) {
      const index = next++;
      const place = { port: ports[index % ports.length], id: ids[index], room: rooms[index] };
      ends[index] = await connect(driver, place, noteFault);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, connectSome));
  return ends;
}

function connect(driver, { port, id, room }, noteFault) {
  const { url, protocols = [], hello } = driver.open(port, id, room);
  const socket = new WebSocket(url, protocols, { perMessageDeflate: false, skipUTF8Validation: true });
  const end = { id, room, socket, localPort: 0, count: 0, rest: null, onMessage: null };
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
    const take = (bytes) => {
      if (!done) {
        if (driver.greet(end, bytes)) finish();
      } else if (driver.isMessage(bytes)) end.onMessage?.(bytes);
      else driver.control(socket, bytes);
    };
    socket.on('upgrade', (response) => (end.localPort = response.socket.localPort));
    socket.on('open', () => {
      if (hello !== undefined) socket.send(hello);
      if (driver.greet === null) finish();
    });
    socket.on('message', (bytes) => {
      try {
        if (driver.split === undefined) take(bytes);
        else driver.split(end, bytes, take);
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
