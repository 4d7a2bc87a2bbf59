// The gateway and the SDK of an earlier commit, built from the repository's own history beside the suite's temporary files.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Scene } from './scene.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface EarlierBuild {
  /** File of its SDK. */
  sdk: string;
  /** File of its command. */
  cli: string;
}

/** @throws Error where the repository does not have the commit, as in a shallow clone */
export function buildOf(commit: string, scene: Scene): EarlierBuild {
  const directory = mkdtempSync(join(tmpdir(), 'faults-build-'));
  scene.atEnd(() => rmSync(directory, { recursive: true, force: true }));
  const archive = join(directory, 'source.tar');
  must(['git', 'archive', '--format=tar', `--output=${archive}`, commit], ROOT);
  must(['tar', '-xf', archive], directory);
  // Its own packages may differ in a patch version; what it is made of does not.
  symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
  scene.tell(`building ${commit}`);
  must([process.execPath, 'scripts/build.mjs'], directory);
  const build = { sdk: join(directory, 'dist/client/index.js'), cli: join(directory, 'dist/cli.js') };
  if (!existsSync(build.sdk) || !existsSync(build.cli))
    throw new Error(`${commit} built no SDK or no command`);
  return build;
}

function must([file = '', ...args]: readonly string[], cwd: string): void {
  const { status, stderr, error } = spawnSync(file, args, { cwd, encoding: 'utf8' });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${file} ${args.join(' ')}: ${stderr.trim()}`);
}
