// The greeting bot: a client that lives in the worker, says hello to each new session, and answers who asks it.
import { isClientId } from '../protocol/ids.js';
import type { PluginFactory } from '../plugin/plugin.js';

const greetingBot: PluginFactory = async (context, options) => {
  const { client = 'greeter', text = 'Welcome!' } = Object(options) as { client?: unknown; text?: unknown };
  if (!isClientId(client)) throw new TypeError('options.client must be a client id');
  if (typeof text !== 'string') throw new TypeError('options.text must be a text');
  // One session in each worker: a request reaches one of them, a message all.
  const bot = await context.openSession(client, { perm: { send: ['*'] } });
  bot.on('error', (error) => {
    context.log.warn({ err: error }, 'the greeting bot has lost something');
  });
  bot.onRequest('greet', (_data, from) => `${text} You are ${from.client}.`);
  await bot.connect();
  return {
    opened(session, { resumed }) {
      if (!resumed)
        return bot.send(`${session.client}#${session.id}`, 'greeting', { text }).then(() => undefined);
      return undefined;
    },
  };
};
export default greetingBot;
