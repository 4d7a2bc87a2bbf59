// Names in order, against a plain sorted array.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { SortedNames } from '../../../src/session/store/sorted-names.js';

const few = fc.constantFrom('a', 'ab', 'abc', 'b', 'ba', 'B', '~', 'c/1', 'c/10', 'c/2');

function pageOf(names: Iterable<string>, cursor: string | null, limit: number, prefix: string) {
  const after = [...names]
    .filter((name) => name.startsWith(prefix) && (cursor === null || name > cursor))
    .sort((a, b) => (a < b ? -1 : 1));
  const page = after.slice(0, limit);
  return { page, next: after.length > limit ? (page.at(-1) ?? null) : null };
}

describe('SortedNames', () => {
  test('gives the pages that a sorted array would, after any changes', () => {
    const changes = fc.array(fc.tuple(fc.boolean(), few));
    const cursor = fc.option(fc.oneof(few, fc.constant('aa')));
    fc.assert(
      fc.property(
        changes,
        cursor,
        fc.integer({ min: 1, max: 5 }),
        fc.constantFrom('', 'a', 'c/1', 'z'),
        (all, after, limit, prefix) => {
          const [names, model] = [new SortedNames(), new Set<string>()];
          for (const [add, name] of all) {
            names[add ? 'add' : 'delete'](name);
            model[add ? 'add' : 'delete'](name);
          }
          expect(names.page(after, limit, prefix)).toEqual(pageOf(model, after, limit, prefix));
        },
      ),
    );
  });

  test('holds many names that come and go in any order', () => {
    const all = Array.from({ length: 5000 }, (_, i) => `c-${String((i * 7919) % 5000).padStart(4, '0')}`);
    const names = new SortedNames();
    for (const name of all) names.add(name);
    for (const name of all) names.add(name);
    const read = (): string[] => {
      const found: string[] = [];
      for (let cursor: string | null = null; ;) {
        const { page, next } = names.page(cursor, 300);
        found.push(...page);
        if (next === null) return found;
        cursor = next;
      }
    };
    expect(read()).toEqual([...all].sort());
    for (const name of all.slice(0, 4990)) names.delete(name);
    expect(read()).toEqual(all.slice(4990).sort());
    for (const name of all) names.delete(name);
    expect(read()).toEqual([]);
    names.add('again');
    expect(read()).toEqual(['again']);
  });
});
