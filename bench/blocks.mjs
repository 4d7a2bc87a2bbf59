// Blocks of a document that a command writes: between a line `<!-- bench: NAME -->` and the next `<!-- /bench -->`.

/** @throws for a block that nothing fills: a misspelled name would go stale unseen */
export function fillBlocks(text, blocks) {
  return text.replace(/(<!-- bench: ([\w-]+) -->\n)[^]*?(<!-- \/bench -->)/g, (_all, start, name, end) => {
    if (!Object.hasOwn(blocks, name)) throw new Error(`no block ${name}`);
    return `${start}\n${blocks[name]()}\n\n${end}`;
  });
}
