// The SDK's version, sent to the gateway for its logs; a test holds it equal to package.json (a bundle cannot read that file).
export const VERSION = '0.1.0';
