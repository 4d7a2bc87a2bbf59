// jest in native ESM: esbuild turns each TypeScript file into a module, types are the compiler's job (npm run typecheck).
export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/src', '<rootDir>/test'],
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': '<rootDir>/scripts/jest-transform.mjs' },
  // Sources import './x.js', as Node will see it after the build. The file of that name wins where it exists
  // (node_modules, dist); only where it does not is it the TypeScript source that is meant.
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': ['$1.js', '$1.ts'] },
  maxWorkers: 2,
  // Tests start gateways and browsers, on a machine that may be busy: what hangs is told by it, what is slow is not.
  testTimeout: 60_000,
};
