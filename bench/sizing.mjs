// How much machine so many connections need: from figures of the last run, with the arithmetic shown.

/** What clients do, on average over the busiest hour. Another application has other numbers: put them in. */
export const USE = {
  messagesPerSecond: 0.1,
  payloadBytes: 200,
  /** Ours: PING_INTERVAL_MS. */
  pingSeconds: 25,
  /** All clients come back within this time after a failover. */
  stormSeconds: 60,
  /** Of a core, so that a storm or a lost node finds room. */
  busyShare: 0.6,
};

/** Headers of a segment on Ethernet: 14 + 20 (IPv4) + 32 (TCP with timestamps). Each segment is counted with an acknowledgement of its own. */
const SEGMENT_BYTES = 66;
/** Kernel objects of one accepted connection, bytes (/proc/slabinfo, Linux 6.18): socket 2,368, inode 832, file 192, dentry 192, epoll 208. */
const KERNEL_BYTES = 3792;
/** WebSocket headers: masked from the client, bare from the server; 2 bytes more from 126 bytes of payload on. */
const WS_UP = 6;
const WS_DOWN = 2;
const wsHeader = (base, bytes) => base + (bytes < 126 ? 0 : 2);

export const COUNTS = [10_000, 100_000, 1_000_000];

/**
 * @param figures kibPerConnection, baseMib (of an idle gateway), microsPerHandshake, microsPerMessage, nodeMicrosPerMessage (Redis
 *   counted), sendBytes and messageBytes (frames with USE.payloadBytes)
 */
export function sizingRows(figures) {
  const { messagesPerSecond, pingSeconds, stormSeconds, busyShare } = USE;
  const up = figures.sendBytes + wsHeader(WS_UP, figures.sendBytes);
  const down = figures.messageBytes + wsHeader(WS_DOWN, figures.messageBytes);
  const segments = 2 * 2 * SEGMENT_BYTES;
  const messageBytes = up + down + segments;
  // A ping frame and its pong, of two bytes each.
  const pingBytes = 2 + WS_DOWN + 2 + WS_UP + segments;
  const bytesPerSecond = messagesPerSecond * messageBytes + pingBytes / pingSeconds;
  const micros = (perMessage) => (messagesPerSecond + 1 / pingSeconds) * perMessage;
  const cores = (perSecond) => perSecond / 1e6 / busyShare;
  const text = (value, digits = 1) => value.toFixed(digits);

  return [
    {
      what: 'memory of the processes, GiB',
      how: `N × ${text(figures.kibPerConnection)} KiB + ${text(figures.baseMib, 0)} MiB`,
      of: (n) => (n * figures.kibPerConnection) / 2 ** 20 + figures.baseMib / 1024,
    },
    {
      what: 'memory of the kernel, GiB',
      how: `N × ${KERNEL_BYTES} bytes, and what waits in socket buffers`,
      of: (n) => (n * KERNEL_BYTES) / 2 ** 30,
    },
    {
      what: 'cores for messages and pings, one machine',
      how: `N × (${messagesPerSecond} + 1/${pingSeconds}) × ${text(figures.microsPerMessage)} µs ÷ ${busyShare}`,
      of: (n) => cores(n * micros(figures.microsPerMessage)),
    },
    {
      what: 'the same with Redis between nodes, its core included',
      how: `N × (${messagesPerSecond} × ${text(figures.nodeMicrosPerMessage)} + 1/${pingSeconds} × ${text(figures.microsPerMessage)}) µs ÷ ${busyShare}`,
      of: (n) =>
        cores(
          n * (messagesPerSecond * figures.nodeMicrosPerMessage + figures.microsPerMessage / pingSeconds),
        ),
    },
    {
      what: `cores while all come back within ${stormSeconds} s`,
      how: `N ÷ ${stormSeconds} × ${text(figures.microsPerHandshake, 0)} µs (all of a core used)`,
      of: (n) => ((n / stormSeconds) * figures.microsPerHandshake) / 1e6,
    },
    {
      what: 'network, Mbit/s, both directions together',
      how: `N × (${messagesPerSecond} × ${messageBytes} + ${pingBytes}/${pingSeconds}) bytes × 8`,
      of: (n) => (n * bytesPerSecond * 8) / 1e6,
    },
  ];
}

/** A Markdown table. */
export function sizingTable(figures) {
  const value = (number) =>
    number.toPrecision(2).replace(/^(\d+)\.?(\d*)e\+(\d+)$/, (all) => String(Number(all)));
  const head = COUNTS.map((count) => String(count).replace(/\B(?=(\d{3})+$)/g, ' '));
  return [
    `| | arithmetic | ${head.join(' | ')} |`,
    `|---|---|${COUNTS.map(() => '---:|').join('')}`,
    ...sizingRows(figures).map(
      ({ what, how, of }) => `| ${what} | ${how} | ${COUNTS.map((n) => value(of(n))).join(' | ')} |`,
    ),
  ].join('\n');
}
