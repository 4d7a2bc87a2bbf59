// npm run fuzz:network: how much loss and delay calls survive.
import { runSuite } from '../run-suite.mjs';

runSuite('network-fuzz', [
  'faults',
  'browser/chromium.ts',
  'gateway-process.ts',
  'free-port.ts',
  'redis-server.ts',
  'turn-server.ts',
]);
