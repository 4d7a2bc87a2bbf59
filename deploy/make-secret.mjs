// node deploy/make-secret.mjs FILE…: writes random secrets that only their owner can read, each unless the file exists.
import { randomBytes } from 'node:crypto';
import { existsSync, linkSync, unlinkSync, writeFileSync } from 'node:fs';

const paths = process.argv.slice(2);
if (paths.length === 0) {
  console.error('usage: node deploy/make-secret.mjs FILE...');
  process.exit(2);
}
for (const path of paths) {
  if (existsSync(path)) {
    console.log(`${path} exists and stays.`);
    continue;
  }
  // Complete before it has its name: nobody ever reads half a secret, and of two at once the first wins.
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, `${randomBytes(48).toString('base64url')}\n`, { flag: 'wx', mode: 0o400 });
  try {
    linkSync(draft, path);
    console.log(`${path} made.`);
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    console.log(`${path} exists and stays.`);
  } finally {
    unlinkSync(draft);
  }
}
