#!/usr/bin/env -S node --max-semi-space-size=2
// The command line: signalbox start | token | config.
import cluster from 'node:cluster';
import { Command, InvalidArgumentError } from 'commander';
import { type Config, ConfigError, parseConfig } from './config.js';
import { misspelledSettings } from './misspelled-settings.js';
import { isClientId } from './protocol/ids.js';
import { permissionMistakes } from './session/permissions.js';
import { settingsMarkdown } from './settings-markdown.js';
import { signToken } from './session/sign-token.js';
import { StartError } from './start-error.js';
import { WEBHOOK_ARGUMENT } from './webhook-process.js';
import { VERSION } from './version.js';

/** Wrong use and wrong configuration. */
const EXIT_USAGE = 2;

class UsageError extends Error {}

function duration(text: string): number {
  const match = /^(\d{1,9})(s|m|h|d)?$/.exec(text);
  const factor = { s: 1, m: 60, h: 3600, d: 86_400 }[match?.[2] ?? 's'] ?? 1;
  const seconds = Number(match?.[1] ?? NaN) * factor;
  if (!(seconds > 0)) throw new InvalidArgumentError('A time like 30s, 15m, 1h or 7d is wanted.');
  return seconds;
}

function clientId(text: string): string {
  if (!isClientId(text))
    throw new InvalidArgumentError('A client id is 1 to 128 of A-Z a-z 0-9 . _ ~ @ : / + -');
  return text;
}

function permissions(text: string): unknown {
  let claim: unknown;
  try {
    claim = text === '*' ? '*' : JSON.parse(text);
  } catch {
    throw new InvalidArgumentError('JSON is wanted, like {"send":["*"],"rooms":{"join":["lobby"]}}');
  }
  const mistakes = permissionMistakes(claim);
  if (mistakes.length > 0) throw new InvalidArgumentError(`${mistakes.join('; ')}.`);
  return claim;
}

async function start(): Promise<void> {
  const config = parseConfig(process.env);
  const doubtful = misspelledSettings(process.env);
  if (doubtful.length > 0) process.stderr.write(`warning: ${doubtful.join('; ')}\n`);
  const { startPrimary } = await import('./master.js');
  const primary = await startPrimary(config);
  if (config.development) process.stdout.write(developmentNotes(config, primary.port));
}

function developmentNotes(config: Config, port: number): string {
  const address = `127.0.0.1:${String(port)}`;
  const scheme = config.tls === null ? ['http', 'ws'] : ['https', 'wss'];
  const token = signToken(config.tokens, { sub: 'alice', ttlS: 86_400, perm: '*' });
  return `
  signalbox ${VERSION} runs in development mode: this machine only, a new random key at each start.

  Playground   ${scheme[0] ?? ''}://${address}/   (open it in two tabs)

  Or paste this into the console of any page on localhost:

    const { Client } = await import('${scheme[0] ?? ''}://${address}/client.js');
    const client = new Client('${scheme[1] ?? ''}://${address}', { token:
      '${token}' });
    await client.connect();
    client.onMessage('greet', (data, from) => console.log(from.client, data));
    await client.send('alice', 'greet', { hi: 1 });

  For production set JWT_SECRET (or JWT_PUBLIC_KEY_FILE or JWKS_URL): see docs/configuration.md.

`;
}

function printToken({ sub, ttl, perm }: { sub: string; ttl: number; perm: unknown }): void {
  const config = parseConfig(process.env);
  if (config.development) {
    throw new UsageError(
      'No key to sign with: set JWT_SECRET (or JWT_SECRET_FILE) to the one the gateway uses.\n' +
        'In development mode `signalbox start` prints a token itself.',
    );
  }
  if (config.tokens.keys.kind !== 'secret') {
    throw new UsageError(
      'Only tokens of JWT_SECRET can be made here: the private key of the configured one is elsewhere.',
    );
  }
  if (ttl > config.tokens.maxLifeS) {
    throw new UsageError(
      `--ttl is longer than TOKEN_MAX_LIFE_S (${String(config.tokens.maxLifeS)} s): the gateway would refuse the token.`,
    );
  }
  process.stdout.write(`${signToken(config.tokens, { sub, ttlS: ttl, perm })}\n`);
}

function checkConfig(): void {
  parseConfig(process.env);
  const doubtful = misspelledSettings(process.env);
  if (doubtful.length > 0) throw new ConfigError(doubtful);
}

const HELP = `
Try it:
  signalbox                              development mode: this machine only, prints a token and a page to open
  JWT_SECRET=… signalbox start           for real; the secret has at least 32 bytes
  JWT_SECRET=… signalbox token --sub alice --ttl 1h --perm '{"send":["*"],"rooms":{"join":["lobby"]}}'
  signalbox config                       every setting, with its default and its reason`;

function program(): Command {
  const signalbox = new Command('signalbox')
    .description('Self-hosted realtime gateway and WebRTC signaling server.')
    .version(VERSION)
    .showHelpAfterError('(signalbox --help shows what there is)')
    .addHelpText('after', HELP)
    // commander would exit with 1, which here means that a right call failed.
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : EXIT_USAGE));
  signalbox
    .command('start', { isDefault: true })
    .description('run the gateway on all cores (also without a command); settings are environment variables')
    // Of the default command, so a mistyped command arrives here as its argument.
    .allowExcessArguments()
    .action((_options: unknown, command: Command) => {
      const [unknown] = command.args;
      if (unknown !== undefined) command.error(`error: unknown command '${unknown}'`);
      return start();
    });
  signalbox
    .command('token')
    .description('print an access token, signed with JWT_SECRET')
    .requiredOption('--sub <client>', 'client id', clientId)
    .option('--ttl <time>', 'how long it is valid: 30s, 15m, 1h, 7d', duration, 3600)
    .option('--perm <json>', 'what it permits (the claim perm); everything by default', permissions, '*')
    .action(printToken);
  signalbox
    .command('config')
    .description('print every setting as Markdown, or check the environment')
    .option('--check', 'only say whether the environment is right')
    .action(({ check }: { check?: true }) => {
      if (check === true) checkConfig();
      process.stdout.write(check === true ? 'The configuration is right.\n' : settingsMarkdown());
    });
  return signalbox;
}

async function main(): Promise<void> {
  if (cluster.isWorker) {
    const { startWorker } = await import('./worker/main.js');
    await startWorker(process.env);
    return;
  }
  if (process.argv[2] === WEBHOOK_ARGUMENT) {
    const { startWebhooks } = await import('./webhooks/process.js');
    await startWebhooks(process.env);
    return;
  }
  await program().parseAsync();
}

main().catch((error: unknown) => {
  const usage = error instanceof ConfigError || error instanceof UsageError;
  const expected = usage || error instanceof StartError;
  const text =
    error instanceof Error ? (expected ? error.message : (error.stack ?? error.message)) : String(error);
  process.stderr.write(`${text}\n`, () => process.exit(usage ? EXIT_USAGE : 1));
});
