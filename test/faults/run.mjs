// npm run faults: the fault suite.
import { runSuite } from '../run-suite.mjs';

runSuite('faults', ['gateway-process.ts', 'redis-server.ts']);
