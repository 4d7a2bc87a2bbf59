// Payloads in Protocol Buffers, by the schema in person.proto, and a class as a MessagePack extension: node examples/protobuf.mjs
import { readFileSync } from 'node:fs';
import { PbfReader, PbfWriter } from 'pbf';
import { compile } from 'pbf/compile';
import schema from 'protocol-buffers-schema';
import { gateway, token } from './gateway.mjs';

const url = await gateway();
const { Client } = await import('../dist/client/index.js');
const { Serializers } = await import('../dist/protocol/serializers.js');

// What a build step would write to a file: `pbf examples/person.proto > person.js`.
const proto = compile(schema.parse(readFileSync(new URL('person.proto', import.meta.url))));
/** Which message of the schema an event carries, and which its answer. */
const MESSAGES = { person: 'Person', greet: ['Person', 'Greeting'] };
const messageOf = ({ event, reply }) => [MESSAGES[event]].flat()[reply ? 1 : 0];

class Vector {
  constructor(x, y) {
    Object.assign(this, { x, y });
  }
}

// The same for everybody: who lacks it gets an error with the bytes.
const serializers = new Serializers()
  .register({
    name: 'protobuf',
    codec: 8,
    events: Object.keys(MESSAGES),
    encode(value, context) {
      const writer = new PbfWriter();
      proto[`write${messageOf(context)}`](value, writer);
      return writer.finish();
    },
    decode: (bytes, context) => proto[`read${messageOf(context)}`](new PbfReader(bytes)),
  })
  .extend(1, Vector, {
    encode: ({ x, y }, pack) => pack([x, y]),
    decode: (bytes, unpack) => new Vector(...unpack(bytes)),
  });

const connect = async (name, options) => {
  const client = new Client(url, { token: token(name), ...options });
  await client.connect();
  return client;
};
const alice = await connect('alice', { serializers });
const bob = await connect('bob', { serializers, codec: 'json' });
const carol = await connect('carol');

bob.onMessage('person', ({ name, age, tags }) =>
  console.log(`bob has ${name}, ${age}, ${tags.join(' and ')}`),
);
bob.onMessage('wind', (data) => console.log(`bob has a ${data.constructor.name}: ${data.x}, ${data.y}`));
bob.onRequest('greet', (person) => ({ text: `Hello ${person.name}!`, to: person }));
carol.on('error', ({ code, codec, data }) => console.log(`carol: ${code} ${codec}, ${data.length} bytes`));

const ada = { name: 'Ada', age: 36, tags: ['mathematics', 'poetry'] };
await alice.send('bob', 'person', ada, { delivered: true });
await alice.send('bob', 'wind', new Vector(3, -4), { delivered: true });
console.log(`alice has "${(await alice.request('bob', 'greet', ada)).text}"`);
const refused = await alice.request('carol', 'greet', ada).catch(({ code }) => code);
console.log(`alice's request to carol: ${refused}`);
await Promise.all([alice, bob, carol].map((client) => client.close()));
process.exit(0);
