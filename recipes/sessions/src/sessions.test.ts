import { describe, expect, it, env, SELF } from "selvedge:test";
import { makeCookie, newId, readCookie } from "./cookies.ts";
import { endAll, find, start, touch } from "./sessions.ts";

const post = (path: string, cookie = "", body = "") =>
  SELF.fetch(path, { method: "POST", body, headers: { cookie, "content-type": "application/x-www-form-urlencoded" } });

async function signIn(user: string): Promise<string> {
  const answer = await post("/sign-in", "", `user=${user}`);
  expect(answer.status).toBe(200);
  return answer.headers.get("set-cookie")!.split(";")[0]!;
}

const me = (cookie: string) => SELF.fetch("/me", { headers: { cookie } });

describe("cookies", () => {
  it("are read if a key signed them, the one before included", async () => {
    const id = newId();
    const header = (await makeCookie("old", id)).split(";")[0]!;
    expect(await readCookie(header, ["new", "old"])).toBe(id);
    expect(await readCookie(header, ["new", undefined])).toBeNull();
    expect(await readCookie(header.replace(id, newId()), ["old"])).toBeNull();
    expect(await readCookie(null, ["old"])).toBeNull();
  });
});

describe("sessions", () => {
  it("count visits, also those that meet", async () => {
    await start(env.SESSIONS, "one", "ada", 60, 3);
    const both = [await find(env.SESSIONS, "one"), await find(env.SESSIONS, "one")];
    expect(await Promise.all(both.map((found) => touch(env.SESSIONS, found!, 60)))).toEqual([true, true]);
    expect((await find(env.SESSIONS, "one"))?.session.visits).toBe(2);
  });

  it("are as many as a user may have", async () => {
    for (const id of ["one", "two", "three", "four"]) await start(env.SESSIONS, id, "ada", 60, 3);
    const { keys } = await env.SESSIONS.list({ prefix: "session/" });
    expect(keys.map((key) => key.name)).toEqual(["session/four", "session/three", "session/two"]);
    expect(await endAll(env.SESSIONS, "ada")).toBe(3);
    expect((await env.SESSIONS.list()).keys).toEqual([]);
  });
});

describe("the app", () => {
  it("knows who is signed in until they leave", async () => {
    const cookie = await signIn("ada");
    expect(await (await me(cookie)).text()).toBe("ada, visit 1\n");
    expect(await (await me(cookie)).text()).toBe("ada, visit 2\n");
    await post("/sign-out", cookie);
    expect((await me(cookie)).status).toBe(401);
    expect((await me("__Host-session=made.up")).status).toBe(401);
  });

  it("signs a user out everywhere", async () => {
    const [here, there] = [await signIn("grace"), await signIn("grace")];
    expect(await (await post("/sign-out-everywhere", here)).text()).toBe("2 sessions ended.\n");
    expect((await me(there)).status).toBe(401);
  });

  it("refuses what is no user", async () => {
    expect((await post("/sign-in", "", "user=..%2F")).status).toBe(422);
  });
});
