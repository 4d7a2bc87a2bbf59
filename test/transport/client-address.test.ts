// Whose address counts when proxies, and clients that forge, stand in between.
import { IncomingMessage } from 'node:http';
import { BlockList, Socket } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import { clientAddress } from '../../src/transport/client-address.js';

const proxies = new BlockList();
proxies.addSubnet('10.0.0.0', 8, 'ipv4');
proxies.addSubnet('fd00::', 8, 'ipv6');

function addressOf(remote: string | undefined, forwarded?: string, trusted = proxies): string {
  const socket = new Socket();
  Object.defineProperty(socket, 'remoteAddress', { value: remote });
  const request = new IncomingMessage(socket);
  if (forwarded !== undefined) request.headers['x-forwarded-for'] = forwarded;
  return clientAddress(request, trusted);
}

describe('clientAddress', () => {
  test.each([
    ['the address of the socket', '192.0.2.1', undefined, '192.0.2.1'],
    ['IPv4 when the socket is of both kinds', '::ffff:192.0.2.1', undefined, '192.0.2.1'],
    [
      'the socket when it is no proxy, whatever the field says (H23)',
      '192.0.2.1',
      '198.51.100.9',
      '192.0.2.1',
    ],
    ['what a proxy says', '10.0.0.1', '198.51.100.9', '198.51.100.9'],
    [
      'the right-most that is no proxy, behind a forged one',
      '10.0.0.1',
      '1.1.1.1, 198.51.100.9, 10.0.0.2',
      '198.51.100.9',
    ],
    ['the left-most when all are proxies', '10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
    ['the proxy when it says nothing', '10.0.0.1', undefined, '10.0.0.1'],
    ['the proxy when it says rubbish', '10.0.0.1', 'unknown', '10.0.0.1'],
    ['the last good hop when rubbish stands before it', '10.0.0.1', 'rubbish, 10.0.0.2', '10.0.0.2'],
    ['a mapped address as IPv4', '10.0.0.1', '::FFFF:198.51.100.9', '198.51.100.9'],
    ['an IPv6 address by its network', '2001:db8:1:2:3:4:5:6', undefined, '2001:db8:1:2::/64'],
    ['the same network for another host', '2001:DB8:1:2::9', undefined, '2001:db8:1:2::/64'],
    ['a short IPv6 address', '::1', undefined, '0:0:0:0::/64'],
    ['what an IPv6 proxy says', 'fd00::1', '2001:db8::7', '2001:db8:0:0::/64'],
    ['nothing for a socket that is gone', undefined, undefined, ''],
  ])('is %s', (_name, remote, forwarded, expected) => {
    expect(addressOf(remote, forwarded)).toBe(expected);
  });

  test('believes nobody without trusted proxies', () => {
    expect(addressOf('10.0.0.1', '198.51.100.9', new BlockList())).toBe('10.0.0.1');
  });
});
