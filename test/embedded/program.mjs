// A program with a gateway in it, as a user writes one: it tells its port, and what becomes of it, a line each.
import { createGateway } from '../../dist/index.js';

const settings = process.argv.at(-1);
const tell = (line) => process.stdout.write(`program: ${JSON.stringify(line)}\n`);
process.on('warning', ({ message }) => tell({ warning: message }));
const gateway = createGateway(JSON.parse(settings));
process.on('SIGTERM', () => {
  void gateway.close().then(() => tell({ closed: true }));
});
await gateway.listen();
tell({ url: gateway.url, workers: gateway.workers(), argv: process.execArgv });
