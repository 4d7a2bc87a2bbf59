// What the browser's bundle shortens must be no name that applications write: an option that is renamed is an option that is not there.
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import ts from 'typescript';
import { INTERNAL_NAMES } from '../../scripts/internal-names.mjs';

const DOORS = ['index', 'rtc/rtc'].map((door) =>
  fileURLToPath(new URL(`../../dist/client/${door}.d.ts`, import.meta.url)),
);

/** Names of the properties that the exported interfaces and types have, also those within each other. */
function publicNames(): Map<string, string> {
  const program = ts.createProgram(DOORS, {
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
    lib: ['lib.es2023.d.ts', 'lib.dom.d.ts'],
  });
  const checker = program.getTypeChecker();
  const names = new Map<string, string>();
  const seen = new Set<ts.Type>();
  const visit = (type: ts.Type, path: string): void => {
    if (seen.has(type)) return;
    seen.add(type);
    if (type.isUnionOrIntersection()) for (const part of type.types) visit(part, path);
    for (const property of type.getProperties()) {
      const [declaration] = property.declarations ?? [];
      if (declaration?.getSourceFile().fileName.includes('/dist/client/') !== true) continue;
      names.set(property.name, `${path}.${property.name}`);
      visit(checker.getTypeOfSymbolAtLocation(property, declaration), `${path}.${property.name}`);
    }
  };
  for (const door of DOORS) {
    const source = program.getSourceFile(door);
    const module = source === undefined ? undefined : checker.getSymbolAtLocation(source);
    if (module === undefined) throw new Error(`${door} is not built`);
    for (const exported of checker.getExportsOfModule(module)) {
      const isAlias = (exported.flags & ts.SymbolFlags.Alias) !== 0;
      const symbol = isAlias ? checker.getAliasedSymbol(exported) : exported;
      // Methods of a class that are not for applications may be shortened: only its own modules call them.
      if ((symbol.flags & ts.SymbolFlags.Class) === 0)
        visit(checker.getDeclaredTypeOfSymbol(symbol), symbol.name);
    }
  }
  return names;
}

test('no name of a public option or value is shortened', () => {
  const names = publicNames();
  // The crawl has found something: an option of the client, and one within another of a peer.
  expect([names.has('token'), names.has('after')]).toEqual([true, true]);
  expect(INTERNAL_NAMES.filter((name) => names.has(name)).map((name) => names.get(name))).toEqual([]);
});
