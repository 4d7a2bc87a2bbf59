// node deploy/make-secret.mjs FILE: writes a random JWT secret that only its owner can read, unless the file exists.
import { randomBytes } from 'node:crypto';
import { existsSync, linkSync, unlinkSync, writeFileSync } from 'node:fs';

const [path] = process.argv.slice(2);
if (path === undefined) {
  console.error('usage: node deploy/make-secret.mjs FILE');
  process.exit(2);
}
if (existsSync(path)) {
  console.log(`${path} exists and stays.`);
} else {
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
