// npm run faults: the fault suite.
import { runSuite } from '../run-suite.mjs';

runSuite('faults', ['free-port.ts', 'gateway-process.ts', 'redis-server.ts']);
