// The address of a client: the socket's, or what trusted proxies say in front of it.
import { type BlockList, isIP } from 'node:net';
import type { IncomingMessage } from 'node:http';

/**
 * Walks X-Forwarded-For from the right as long as the hop before is a trusted proxy: whatever stands further left was
 * written by the client. IPv6 addresses count by their /64, which one customer owns whole.
 */
export function clientAddress(request: IncomingMessage, trusted: BlockList): string {
  const hops = String(request.headers['x-forwarded-for'] ?? '')
    .split(',')
    .map((hop) => hop.trim());
  let address = plain(request.socket.remoteAddress ?? '');
  while (isTrusted(address, trusted)) {
    const hop = plain(hops.pop() ?? '');
    if (isIP(hop) === 0) break;
    // A string of its own: as a part of the header it would keep all of that as long as the connection lives.
    address = Buffer.from(hop, 'latin1').toString('latin1');
  }
  return isIP(address) === 6 ? networkOf(address) : address;
}

/** Of a socket without anything in front of it that could be believed. */
export function plainAddress(text: string): string {
  const address = plain(text);
  return isIP(address) === 6 ? networkOf(address) : address;
}

function isTrusted(address: string, trusted: BlockList): boolean {
  const family = isIP(address);
  return family !== 0 && trusted.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

function plain(text: string): string {
  const address = text.toLowerCase();
  return address.startsWith('::ffff:') && isIP(address.slice(7)) === 4 ? address.slice(7) : address;
}

function networkOf(address: string): string {
  const [left = '', right] = address.split('::');
  const head = left === '' ? [] : left.split(':');
  const tail = right === undefined || right === '' ? [] : right.split(':');
  const zeros = right === undefined ? 0 : 8 - head.length - tail.length;
  const groups = [...head, ...new Array<string>(Math.max(0, zeros)).fill('0'), ...tail];
  return `${groups.slice(0, 4).join(':')}::/64`;
}
