// The few figures that a newcomer asks for first, as the README shows them.

/** Which systems of the relay stand in it, in which words. Ours keep tokens, permissions, limits and senders' names meanwhile; bare `ws` has none. */
const SYSTEMS = [
  { label: 'signalbox/1', name: '**signalbox**, one worker' },
  { label: 'signalbox/2', name: '**signalbox**, sender and receiver with different workers' },
  { label: 'kept/2', name: '**signalbox**, each message stored and acknowledged, two workers' },
  { label: 'nodes/2', name: '**signalbox**, from one gateway to another over Redis, its CPU included' },
  { label: 'ws-json/1', name: 'bare `ws` and JSON, one process' },
  { label: 'nats/1', name: 'NATS over WebSocket (Go), one process' },
  { label: 'peer-server/1', name: 'PeerServer, one process' },
  { label: 'socket.io/1', name: 'Socket.IO, one process' },
  { label: 'socket.io-redis/2', name: 'Socket.IO with its Redis adapter, two workers, Redis included' },
];

/**
 * A Markdown table: what one message from client to client costs each system.
 *
 * @param rows those of the relay's last run; one that is not among them (nats-server was not installed) is left out
 */
export function headlineTable(rows) {
  const found = SYSTEMS.flatMap(({ label, name }) => {
    const figures = rows.find((row) => row.label === label)?.figures;
    return figures?.cpuMicrosPerMessage > 0 ? [{ name, figures }] : [];
  });
  const grouped = (value) => String(Math.round(value / 1000) * 1000).replace(/\B(?=(\d{3})+$)/g, ' ');
  return [
    '| | CPU of a message | messages a second, 2 cores shared with the clients |',
    '|---|---:|---:|',
    ...found.map(
      ({ name, figures }) =>
        `| ${name} | ${figures.cpuMicrosPerMessage.toFixed(1)} µs | ${grouped(figures.messagesPerSecond)} |`,
    ),
  ].join('\n');
}
