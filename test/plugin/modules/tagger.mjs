// Sees and manages sessions: tags them, moves them, drops what they should not hear, ends them. Rules by event.
export default function tagger({ sessions, gateway, decode }, options) {
  return {
    decides: true,
    connect({ client }) {
      if (client === 'banned') return { refuse: 'kicked' };
      if (client === 'narrow') return { perm: { send: ['*'] } };
      return undefined;
    },
    opened(session) {
      session.tags.add(session.client.startsWith('vip') ? 'vip' : 'plain');
    },
    async frameIn(session, frame) {
      if (frame.type !== 'send') return undefined;
      if (frame.event === 'slow') await new Promise((resolve) => setTimeout(resolve, 150));
      if (frame.event === 'refused') return { refuse: 'forbidden', text: `not ${decode(frame.payload)}` };
      if (frame.event === 'who-is-vip')
        await session.send(
          'vips',
          sessions
            .tagged('vip')
            .map(({ client }) => client)
            .sort(),
        );
      if (frame.event === 'move') await session.move('hall', 'cellar');
      if (frame.event === 'end') session.close('kicked');
      if (frame.event === 'tell-all') await gateway.broadcast('told', options.word);
      return undefined;
    },
    frameOut(_session, { frame }) {
      return !(frame.type === 'message' && frame.event === 'unheard');
    },
  };
}
