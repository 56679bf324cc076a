//! Modules that a test replaces.

use super::{project, run, says};
use crate::harness::Place;

const SUM: &str = "export const add = (a: number, b: number) => a + b;\nexport const twice = (a: number) => add(a, a);\n\
    export class Box { size() { return 1; } }\nexport default 'sum';\n";
const SHOP: &str =
    "import name, { add } from './sum.ts';\nexport const price = (a: number) => `${name} ${add(a, 1)}`;\n";

#[test]
fn a_module_is_replaced_for_everybody_who_imports_it() {
    let source = "import { afterEach, expect, test, vi } from 'vitest';\nimport { price } from './shop';\n\
        import name, { add, twice } from './sum';\n\
        const later = vi.fn(() => 7);\n\
        const { fake } = vi.hoisted(() => ({ fake: vi.fn(() => 41) }));\n\
        vi.mock('./sum', async (importOriginal) => ({\n  ...(await importOriginal<typeof import('./sum')>()),\n  default: 'fake',\n  add: fake,\n  twice: () => later(),\n}));\n\
        afterEach(() => { vi.clearAllMocks(); });\n\
        test('replaces', () => {\n  expect(price(2)).toBe('fake 41');\n  expect(fake).toHaveBeenCalledWith(2, 1);\n  \
        expect({ name, add }).toEqual({ name: 'fake', add: fake });\n  expect(twice(1)).toBe(7);\n});\n\
        test('has the module itself', async () => {\n  const actual = await vi.importActual<typeof import('./sum')>('./sum');\n  \
        expect(actual.twice(2)).toBe(4);\n});\n\
        test('leads to its line', () => {\n  expect(add(1, 2)).toBe(3);\n});\n";
    let place = Place::new();
    let project = project(&place, &[("src/sum.ts", SUM), ("src/shop.ts", SHOP), ("src/index.test.ts", source)]);
    says(
        &place.test(&project, &[]),
        1,
        &["✓ replaces", "✓ has the module itself", "❯ src/index.test.ts:24:", "1 failed | 2 passed"],
    );
}

#[test]
fn without_a_factory_functions_become_mocks() {
    let source = "import { expect, test, vi } from 'vitest';\nimport * as sum from './sum';\nimport { price } from './shop';\n\
        import { now } from './clock';\nimport { existsSync } from 'node:fs';\n\
        vi.mock(import('./sum'));\nvi.mock('./clock');\nvi.mock('node:fs', () => ({ existsSync: () => true }));\n\
        test('are mocks', () => {\n  expect(price(2)).toBe('sum undefined');\n  vi.mocked(sum.add).mockReturnValue(5);\n  \
        expect(price(2)).toBe('sum 5');\n  expect(sum.twice(3)).toBeUndefined();\n  \
        const box = new sum.Box();\n  expect(box.size()).toBeUndefined();\n  expect(sum.Box).toHaveBeenCalledOnce();\n});\n\
        test('stand beside the module', () => { expect(now()).toBe(3); });\n\
        test('may be of the platform', () => { expect(existsSync('/x')).toBe(true); });\n";
    let place = Place::new();
    let files = [
        ("src/sum.ts", SUM),
        ("src/shop.ts", SHOP),
        ("src/clock.ts", "export const now = () => Date.now();\n"),
        ("src/__mocks__/clock.ts", "export const now = () => 3;\n"),
        ("src/index.test.ts", source),
    ];
    says(&place.test(&project(&place, &files), &[]), 0, &["3 passed (3)"]);
}

#[test]
fn a_module_that_is_not_imported_yet_may_be_replaced_later() {
    let source = "import { expect, test, vi } from 'vitest';\n\
        test('replaces', async () => {\n  vi.doMock('./sum', () => ({ default: 'late', add: () => 1 }));\n  \
        const { price } = await import('./shop');\n  expect(price(2)).toBe('late 1');\n  \
        const { twice } = await import('./sum');\n  \
        expect(() => twice(1)).toThrow('there is no export \"twice\" in what the factory of vi.mock(\"./sum\") returned');\n  \
        expect(() => vi.doMock('./sum')).toThrow('comes too late');\n});\n";
    let place = Place::new();
    let project = project(&place, &[("src/sum.ts", SUM), ("src/shop.ts", SHOP), ("src/index.test.ts", source)]);
    says(&place.test(&project, &[]), 0, &["1 passed (1)"]);
}

#[test]
fn what_a_factory_can_not_name_yet_is_said() {
    let source = "import { test, vi } from 'vitest';\nimport './index.ts';\nconst early = 1;\n\
        vi.mock('./index.ts', () => ({ default: early }));\ntest('a', () => {});\n";
    says(&run(source, &[]), 1, &["the factory of vi.mock(\"./index.ts\") failed", "vi.hoisted()"]);
    let source = "import { test, vi } from 'vitest';\ntest('a', () => { vi.mock('./index.ts'); });\n";
    says(&run(source, &[]), 2, &["vi.mock() is run before everything else", "src/index.test.ts:2:19"]);
}
