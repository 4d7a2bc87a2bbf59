// Prints the table of sizes in docs/protocol.md: the samples as JSON, as MessagePack, deflated, and with the dictionary.
import { readFile } from 'node:fs/promises';
import { deflateSync } from 'node:zlib';
import { loadProtocol } from './load-protocol.mjs';

const { encodeMsgpack, SDP_DICTIONARY } = await loadProtocol();
const samples = new URL('../test/protocol/samples/', import.meta.url);

console.log('| sample | JSON text | MessagePack | + deflate | + deflate and dictionary 1 |');
console.log('| --- | --- | --- | --- | --- |');
for (const name of ['data-offer', 'data-answer', 'call-offer', 'call-answer', 'candidates']) {
  const read = JSON.parse(await readFile(new URL(`${name}.json`, samples), 'utf8'));
  for (const [at, value] of [read].flat().entries()) {
    const msgpack = encodeMsgpack(value);
    const sizes = [
      Buffer.byteLength(JSON.stringify(value)),
      msgpack.length,
      deflateSync(msgpack).length,
      deflateSync(msgpack, { dictionary: SDP_DICTIONARY }).length,
    ];
    console.log(`| ${Array.isArray(read) ? `${name}[${at}]` : name} | ${sizes.join(' | ')} |`);
  }
}
