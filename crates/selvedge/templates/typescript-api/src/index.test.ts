import { describe, expect, it, env, SELF } from "selvedge:test";

describe("the API", () => {
  it("greets", async () => {
    const response = await SELF.fetch("/");
    expect(await response.json()).toEqual({ message: "Hello from __NAME__", notes: "/notes" });
  });

  it("keeps notes", async () => {
    expect((await SELF.fetch("/notes/first", { method: "PUT", body: "My first note" })).status).toBe(204);
    expect(await env.NOTES.get("first")).toBe("My first note");
    const response = await SELF.fetch("/notes/first");
    expect(await response.json()).toEqual({ name: "first", text: "My first note" });
  });

  it("starts each test with an empty store", async () => {
    expect((await SELF.fetch("/notes/first")).status).toBe(404);
  });

  it.each(["a b", "ü", "x".repeat(65)])("refuses the name %s", async (name) => {
    const response = await SELF.fetch(`/notes/${encodeURIComponent(name)}`, { method: "PUT", body: "text" });
    expect(response.status).toBe(400);
    expect(response.headers.get("content-type")).toBe("application/problem+json");
  });
});
