import { afterEach, describe, expect, it, env, SELF, vi } from "selvedge:test";
import { addEntry, listEntries } from "./entries.ts";
import { html } from "./html.ts";

const sign = (fields: Record<string, string>, headers: Record<string, string> = {}) =>
  SELF.fetch("/", { method: "POST", body: new URLSearchParams(fields), headers, redirect: "manual" });

describe("templates", () => {
  it("escape what is not HTML already", () => {
    const name = '<b>"Ada"</b>';
    expect(html`<p title="${name}">${html`<i>${name}</i>`}</p>`.text).toBe(
      '<p title="&lt;b&gt;&quot;Ada&quot;&lt;/b&gt;"><i>&lt;b&gt;&quot;Ada&quot;&lt;/b&gt;</i></p>',
    );
  });
});

describe("entries", () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it("are listed newest first, a page at a time", async () => {
    vi.useFakeTimers({ now: new Date("2026-01-01T12:00:00Z") });
    for (const name of ["Ada", "Grace", "Edsger"]) {
      await addEntry(env.GUESTS, { name, message: "Hello" });
      vi.advanceTimersByTime(1_000);
    }
    const first = await listEntries(env.GUESTS, 2, null);
    expect(first.entries).toMatchObject([{ name: "Edsger" }, { name: "Grace", writtenAt: Date.UTC(2026, 0, 1, 12, 0, 1) }]);
    const second = await listEntries(env.GUESTS, 2, first.cursor);
    expect(second).toEqual({ entries: [expect.objectContaining({ name: "Ada" })], cursor: null });
  });

  it("are gone in the next test", async () => {
    expect((await listEntries(env.GUESTS, 10, null)).entries).toHaveLength(0);
  });
});

describe("the page", () => {
  it("shows what a visitor wrote, as text", async () => {
    const signed = await sign({ name: "Ada", message: "<script>alert(1)</script>" });
    expect(signed.status).toBe(303);
    expect(signed.headers.get("location")).toMatch(/^\/#entry-\d{13}-/);

    const page = await (await SELF.fetch("/")).text();
    expect(page).toContain("<h3>Ada</h3>");
    expect(page).toContain("&lt;script&gt;");
    expect(page).not.toContain("<script>");
  });

  it.each([
    [{ name: "", message: "Hello" }, "Please write your name."],
    [{ name: "Ada", message: "  " }, "Please write your message."],
    [{ name: "Ada", message: "x".repeat(601) }, "there is room for 600"],
  ])("gives %j back", async (fields, problem) => {
    const response = await sign(fields);
    expect(response.status).toBe(422);
    expect(await response.text()).toContain(problem);
    expect((await env.GUESTS.list()).keys).toEqual([]);
  });

  it("refuses a form of another site", async () => {
    const response = await sign({ name: "Eve", message: "spam" }, { "sec-fetch-site": "cross-site" });
    expect(response.status).toBe(403);
  });
});
