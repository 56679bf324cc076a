//! What a test finds in its bindings, and what it leaves behind.

use super::{MANIFEST, project, run, says};
use crate::harness::Place;

#[test]
fn each_test_begins_with_what_the_hooks_around_it_stored() {
    let source = "import { beforeAll, beforeEach, describe, expect, test } from 'vitest';\n\
        import { env, SELF } from 'cloudflare:test';\n\
        const keys = async () => (await env.NOTES.list()).keys.map((key: any) => key.name);\n\
        beforeAll(async () => { await env.NOTES.put('all', '1'); });\n\
        test('writes', async () => { await env.NOTES.put('mine', '1'); await SELF.fetch('/theirs', { method: 'PUT', body: 'x' }); expect(await keys()).toEqual(['all', 'mine', 'theirs']); });\n\
        test('finds nothing of that', async () => { expect(await keys()).toEqual(['all']); });\n\
        describe('inside', () => {\n  beforeAll(async () => { await env.NOTES.put('inner', '1'); });\n  \
        beforeEach(async () => { await env.NOTES.delete('all'); });\n  \
        test('has both', async () => { expect(await keys()).toEqual(['inner']); });\n  \
        test('again', async () => { expect(await keys()).toEqual(['inner']); });\n});\n\
        test('has the outer one', async () => { expect(await keys()).toEqual(['all']); });\n";
    says(&run(source, &[]), 0, &["5 passed (5)"]);
}

const STATEFUL: &str = "name = \"app\"\n[workers.web]\nentry = \"src/index.ts\"\n[workers.web.bindings]\n\
    DB = { sql = \"main\", migrations = \"migrations\" }\nTENANTS = { sql = \"tenant-*\", migrations = \"migrations\" }\n\
    ROOM = { object = \"Room\" }\nNOTES = { kv = \"notes\" }\n";

const ROOM: &str = "import { DurableObject } from 'cloudflare:workers';\n\
    export class Room extends DurableObject {\n  visits = 0;\n  \
    constructor(ctx: any, env: any) { super(ctx, env); ctx.storage.sql.exec('CREATE TABLE IF NOT EXISTS t (x)'); }\n  \
    async add(x: string) { this.visits++; this.ctx.storage.sql.exec('INSERT INTO t VALUES (?)', x); await this.ctx.storage.put(x, 1); }\n  \
    async all() { const rows = this.ctx.storage.sql.exec('SELECT x FROM t ORDER BY x').toArray().map((r: any) => r.x); return { rows, keys: [...(await this.ctx.storage.list()).keys()], visits: this.visits }; }\n  \
    async wake(ms: number) { await this.ctx.storage.setAlarm(Date.now() + ms); }\n  \
    async alarm() { await this.env.NOTES.put('rang', '1'); }\n}\n\
    export default { async fetch(request: Request, env: any) { await env.ROOM.get(env.ROOM.idFromName('hall')).add('theirs'); await env.DB.prepare('INSERT INTO t VALUES (?)').bind('theirs').run(); return new Response('ok'); } };\n";

#[test]
fn databases_and_objects_are_put_back_between_tests() {
    let source = "import { beforeAll, describe, expect, test } from 'vitest';\n\
        import { env, SELF, reset } from 'selvedge:test';\n\
        const room = (name = 'hall') => env.ROOM.get(env.ROOM.idFromName(name));\n\
        const rows = async (db = env.DB) => (await db.prepare('SELECT x FROM t ORDER BY x').all()).results.map((r: any) => r.x);\n\
        const add = (x: string, db = env.DB) => db.prepare('INSERT INTO t VALUES (?)').bind(x).run();\n\
        beforeAll(async () => { await add('all'); await room().add('all'); });\n\
        test('writes', async () => {\n  await SELF.fetch('/');\n  await add('mine');\n  await add('t', env.TENANTS.get('acme'));\n  await room('other').add('mine');\n  \
        expect(await rows()).toEqual(['all', 'mine', 'theirs']);\n  \
        expect(await room().all()).toEqual({ rows: ['all', 'theirs'], keys: ['all', 'theirs'], visits: 2 });\n});\n\
        test('finds nothing of that', async () => {\n  expect(await rows()).toEqual(['all']);\n  expect(await rows(env.TENANTS.get('acme'))).toEqual([]);\n  \
        expect(await room().all()).toEqual({ rows: ['all'], keys: ['all'], visits: 0 });\n  \
        expect(await room('other').all()).toEqual({ rows: [], keys: [], visits: 0 });\n});\n\
        test('drops a table', async () => { await env.DB.exec('DROP TABLE t'); await room().wake(200); });\n\
        describe('inside', () => {\n  \
        beforeAll(async () => { await add('inner'); await room().add('inner'); await env.DB.batch([env.DB.prepare('UPDATE t SET x = upper(x)')]); });\n  \
        for (const n of [1, 2]) test(`has both, ${n}`, async () => {\n    expect(await rows()).toEqual(['ALL', 'INNER']);\n    await add('more');\n    \
        expect((await room().all()).rows).toEqual(['all', 'inner']);\n    await room().add('more');\n  });\n});\n\
        test('has the outer one, and nothing rang', async () => {\n  expect(await rows()).toEqual(['all']);\n  await new Promise((done) => setTimeout(done, 400));\n  \
        expect(await env.NOTES.get('rang')).toBeNull();\n});\n\
        test('an alarm of its own rings', async () => { await room().wake(10); await expect.poll(() => env.NOTES.get('rang')).toBe('1'); });\n\
        test('begins anew', async () => { await reset(); expect(await rows()).toEqual([]); expect((await room().all()).rows).toEqual([]); });\n";
    let place = Place::new();
    let files = [
        ("selvedge.toml", STATEFUL),
        ("src/index.ts", ROOM),
        ("migrations/0001_t.sql", "CREATE TABLE t (x);"),
        ("a.test.ts", source),
        ("b.test.ts", source),
    ];
    let project = place.project("project", &files);
    says(&place.test(&project, &["--cores", "2"]), 0, &["16 passed (16)"]);
}

#[test]
fn work_after_an_answer_ends_before_the_next_test() {
    let source = "import { expect, test } from 'vitest';\nimport { env, SELF } from 'cloudflare:test';\n\
        test('answers first', async () => { expect((await SELF.fetch('/later')).status).toBe(200); });\n\
        test('finds nothing', async () => { expect(await env.NOTES.get('later')).toBeNull(); });\n";
    says(&run(source, &[]), 0, &["2 passed (2)"]);
}

#[test]
fn files_share_nothing_and_nothing_stays() {
    let place = Place::new();
    let test = "import { expect, test } from 'vitest';\nimport { env } from 'cloudflare:test';\n\
        let seen = (globalThis as any).seen ??= 0;\n\
        test('is alone', async () => {\n  expect((globalThis as any).seen++).toBe(0);\n  \
        expect(await env.NOTES.get('a')).toBeNull();\n  await env.NOTES.put('a', '1');\n});\n";
    let project = project(&place, &[("a.test.ts", test), ("b.test.ts", test)]);
    says(&place.test(&project, &["--cores", "1"]), 0, &["2 passed (2)"]);
    says(&place.test(&project, &["--cores", "2"]), 0, &["2 passed (2)"]);
    assert!(!project.join(".selvedge/data").exists());
}

#[test]
fn env_is_what_the_manifest_grants() {
    let source = "import { expect, test } from 'vitest';\nimport { env } from 'selvedge:test';\n\
        import { env as same } from 'cloudflare:workers';\n\
        test('has bindings and variables', () => {\n  expect(Object.keys(env).sort()).toEqual(['GREETING', 'NOTES']);\n  \
        expect(env.GREETING).toBe('hello');\n  expect(same).toBe(env);\n});\n";
    says(&run(source, &[]), 0, &["1 passed (1)"]);
}

#[test]
fn a_context_of_a_handler_waits_for_what_it_was_given() {
    let source = "import { expect, test } from 'vitest';\n\
        import { createExecutionContext, env, waitOnExecutionContext } from 'cloudflare:test';\n\
        import worker from './index.ts';\n\
        test('waits', async () => {\n  const ctx = createExecutionContext();\n  \
        const answer = await worker.fetch(new Request('https://app.example/later'), env, ctx);\n  \
        await waitOnExecutionContext(ctx);\n  expect(answer.status).toBe(200);\n  \
        expect(await env.NOTES.get('later')).toBe('done');\n});\n\
        test('throws what failed', async () => {\n  const ctx = createExecutionContext();\n  \
        ctx.waitUntil(Promise.reject(new Error('too bad')));\n  \
        await expect(waitOnExecutionContext(ctx)).rejects.toThrow('too bad');\n});\n";
    says(&run(source, &[]), 0, &["2 passed (2)"]);
}

#[test]
fn secrets_come_from_a_file_for_tests() {
    let manifest = format!("{MANIFEST}API_KEY = {{ secret = \"api-key\" }}\n");
    let place = Place::new();
    let test = "import { expect, test } from 'vitest';\nimport { env } from 'selvedge:test';\n\
        test('has it', () => { expect(env.API_KEY).toBe('for tests'); expect(env.GREETING).toBe('hello'); });\n";
    let project = project(&place, &[("a.test.ts", test), ("selvedge.toml", &manifest)]);
    says(&place.test(&project, &[]), 2, &["these secrets have no value in tests: API_KEY", "NAME=value in .test.vars"]);
    super::edit(&project, ".dev.vars", "API_KEY=\"of a developer\"\nGREETING=other\n");
    says(&place.test(&project, &[]), 1, &["'of a developer'"]);
    super::edit(&project, ".test.vars", "API_KEY=\"for tests\"\n");
    says(&place.test(&project, &[]), 0, &["1 passed"]);
}

#[test]
fn the_worker_under_test_is_the_one_that_answers_the_root_or_the_one_that_is_named() {
    let manifest = "name = \"app\"\n[workers.api]\nentry = \"api.ts\"\n[workers.web]\nentry = \"web.ts\"\n\
        [workers.web.bindings]\nAPI = { worker = \"api\" }\n[[routes]]\nmatch = \"/*\"\nworker = \"web\"\n";
    let worker = |name: &str| format!("export default {{ fetch: () => new Response('{name}') }};\n");
    let test = "import { expect, test } from 'vitest';\nimport { env, SELF } from 'selvedge:test';\n\
        test('is it', async () => { expect(await (await SELF.fetch('/')).text()).toBe('web'); });\n\
        test('calls', async () => { expect(await (await env.API.fetch('http://api/')).text()).toBe('api'); });\n";
    let place = Place::new();
    let files =
        [("selvedge.toml", manifest), ("api.ts", &worker("api")), ("web.ts", &worker("web")), ("a.test.ts", test)];
    let project = place.project("project", &files);
    says(&place.test(&project, &[]), 0, &["2 passed (2)"]);
    says(&place.test(&project, &["--worker", "api"]), 1, &["expected 'api' to be 'web'"]);
    says(&place.test(&project, &["--worker", "db"]), 2, &["there is no worker db; there is api, web"]);
    super::edit(&project, "selvedge.toml", &format!("{manifest}[test]\nworker = \"api\"\n"));
    says(&place.test(&project, &[]), 1, &["expected 'api' to be 'web'"]);
}

#[test]
fn the_app_and_kv_are_told_the_time_of_fake_timers() {
    let source = "import { afterEach, expect, test, vi } from 'vitest';\nimport { env, SELF } from 'cloudflare:test';\n\
        const now = async () => (await (await SELF.fetch('/')).json()).now;\n\
        afterEach(() => { vi.useRealTimers(); });\n\
        test('moves', async () => {\n  vi.useFakeTimers({ now: 1_000_000 });\n  \
        expect(await now()).toBe(1_000_000);\n  vi.advanceTimersByTime(500);\n  expect(await now()).toBe(1_000_500);\n  \
        vi.setSystemTime(new Date('2030-01-01T00:00:00Z'));\n  \
        await env.NOTES.put('short', '1', { expirationTtl: 60 });\n  \
        vi.advanceTimersByTime(59_000);\n  expect(await env.NOTES.get('short')).toBe('1');\n  \
        vi.advanceTimersByTime(2_000);\n  expect(await env.NOTES.get('short')).toBeNull();\n  \
        expect(await now()).toBe(Date.now());\n});\n\
        test('goes again', async () => {\n  expect(await now()).toBeGreaterThan(1_700_000_000_000);\n  \
        expect(Date.now()).toBeGreaterThan(1_700_000_000_000);\n});\n";
    let app = "export default { fetch: () => Response.json({ now: Date.now() }) };\n";
    let place = Place::new();
    let project = project(&place, &[("src/index.ts", app), ("a.test.ts", source)]);
    says(&place.test(&project, &[]), 0, &["2 passed (2)"]);
}

#[test]
fn self_goes_by_the_routes_of_the_app() {
    let manifest = "name = \"app\"\n[workers.api]\nentry = \"api.ts\"\n[workers.web]\nentry = \"web.ts\"\n\
        [[routes]]\nmatch = \"/api/*\"\nworker = \"api\"\n[[routes]]\nmatch = \"/docs/*\"\nassets = \"docs\"\n\
        [[routes]]\nmatch = \"/*\"\nassets = \"public\"\nworker = \"web\"\n";
    let worker = |name: &str| format!("export default {{ fetch: () => new Response('{name}') }};\n");
    let test = "import { expect, test } from 'vitest';\nimport { reset, SELF } from 'cloudflare:test';\n\
        const text = async (path: string, init?: any) => (await SELF.fetch(path, init)).text();\n\
        test('leads there', async () => {\n  expect(await text('/api/x')).toBe('api');\n  \
        expect(await text('/note.txt')).toBe('a note');\n  expect(await text('/note.txt', { method: 'POST' })).toBe('web');\n  \
        expect(await text('https://any.example/none')).toBe('web');\n  expect(await text('/docs/')).toBe('the docs');\n  \
        expect((await SELF.fetch('/docs/none')).status).toBe(404);\n  await reset();\n});\n";
    let place = Place::new();
    let files = [
        ("selvedge.toml", manifest),
        ("api.ts", &worker("api")),
        ("web.ts", &worker("web")),
        ("public/note.txt", "a note"),
        ("docs/docs/index.html", "the docs"),
        ("a.test.ts", test),
    ];
    let project = place.project("project", &files);
    says(&place.test(&project, &[]), 0, &["1 passed (1)"]);
}

#[test]
fn the_limits_of_the_app_are_not_spent_on_its_tests() {
    let manifest = "name = \"app\"\n[limits]\nconcurrency = 1\nnesting = 1\ninstances = 2\n\
        [workers.api]\nentry = \"api.ts\"\n[workers.web]\nentry = \"web.ts\"\n\
        [workers.web.bindings]\nAPI = { worker = \"api\" }\n[[routes]]\nmatch = \"/*\"\nworker = \"web\"\n";
    let test = "import { expect, test } from 'vitest';\nimport { SELF } from 'cloudflare:test';\n\
        test('calls', async () => { expect(await (await SELF.fetch('/')).text()).toBe('api'); });\n\
        test('waits', async () => { await new Promise((done) => setTimeout(done, 60_000)); }, 50);\n";
    let place = Place::new();
    let files = [
        ("selvedge.toml", manifest),
        ("api.ts", "export default { fetch: () => new Response('api') };\n"),
        ("web.ts", "export default { fetch: (_: Request, env: any) => env.API.fetch('http://api/') };\n"),
        ("a.test.ts", test),
    ];
    let project = place.project("project", &files);
    says(&place.test(&project, &[]), 1, &["✓ calls", "the test took longer than 50 ms", "1 failed | 1 passed"]);
}

#[test]
fn a_component_is_tested_like_a_script() {
    let place = Place::new();
    let project = place.recipe("component");
    let test = "import { expect, SELF, test } from 'selvedge:test';\n\
        test('greets', async () => { expect(await (await SELF.fetch('/hello/Ada')).json()).toEqual({ message: 'Hello, Ada!' }); });\n";
    super::edit(&project, "test/component.test.js", test);
    says(&place.test(&project, &[]), 0, &["1 passed (1)"]);
}

#[test]
fn alarms_ring_by_the_clock_that_a_test_moves() {
    let room = "import { DurableObject } from 'cloudflare:workers';\n\
        export class Room extends DurableObject {\n  \
        async every(ms: number) { await this.ctx.storage.put('ms', ms); await this.ctx.storage.setAlarm(Date.now() + ms); }\n  \
        async rang() { return (await this.ctx.storage.get('rang')) ?? []; }\n  \
        async fail() { await this.ctx.storage.put('fails', true); await this.ctx.storage.setAlarm(Date.now() + 1000); }\n  \
        async alarm() {\n    if (await this.ctx.storage.get('fails')) throw new Error('broken bell');\n    \
        await this.ctx.storage.put('rang', [...await this.rang(), Date.now()]);\n    await this.every(await this.ctx.storage.get('ms'));\n  }\n}\n\
        export default { fetch: () => new Response('ok') };\n";
    let source = "import { afterEach, expect, test, vi } from 'vitest';\n\
        import { env, listDurableObjectIds, runDurableObjectAlarm } from 'cloudflare:test';\n\
        const room = () => env.ROOM.get(env.ROOM.idFromName('hall'));\n\
        afterEach(() => { vi.useRealTimers(); });\n\
        test('step by step', async () => {\n  vi.useFakeTimers({ now: 1_000_000 });\n  await room().every(10_000);\n  \
        await vi.advanceTimersByTimeAsync(9_000);\n  expect(await room().rang()).toEqual([]);\n  \
        await vi.advanceTimersByTimeAsync(25_000);\n  expect(await room().rang()).toEqual([1_010_000, 1_020_000, 1_030_000]);\n});\n\
        test('at once', async () => {\n  vi.useFakeTimers({ now: 1_000_000 });\n  await room().every(10_000);\n  vi.setSystemTime(2_000_000);\n  \
        await expect.poll(() => room().rang()).toEqual([2_000_000]);\n});\n\
        test('when it is asked to', async () => {\n  const id = env.ROOM.idFromName('hall');\n  expect(await listDurableObjectIds(env.ROOM)).toEqual([]);\n  \
        expect(await runDurableObjectAlarm(room())).toBe(false);\n  await room().every(3_600_000);\n  \
        expect(await runDurableObjectAlarm(room())).toBe(true);\n  expect(await room().rang()).toHaveLength(1);\n  \
        expect((await listDurableObjectIds(env.ROOM)).map(String)).toEqual([id.toString()]);\n});\n\
        test('a failure is told', async () => {\n  await room().fail();\n  \
        await expect(runDurableObjectAlarm(room())).rejects.toThrow('broken bell');\n});\n";
    let manifest = "name = \"app\"\n[workers.web]\nentry = \"src/index.ts\"\n[workers.web.bindings]\nROOM = { object = \"Room\" }\n";
    let place = Place::new();
    let files = [("selvedge.toml", manifest), ("src/index.ts", room), ("a.test.ts", source)];
    let project = place.project("project", &files);
    says(&place.test(&project, &[]), 0, &["4 passed (4)"]);
}
