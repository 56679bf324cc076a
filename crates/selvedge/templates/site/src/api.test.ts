import { beforeAll, describe, expect, it, env, SELF } from "selvedge:test";

const cheer = () => SELF.fetch("/api/cheers", { method: "POST" });

describe("cheers", () => {
  it("begin at none", async () => {
    const response = await SELF.fetch("/api/cheers");
    expect(await response.json()).toEqual({ cheers: 0 });
  });

  it("lose no count", async () => {
    await Promise.all([cheer(), cheer(), cheer()]);
    expect(await env.COUNTERS.get("cheers")).toBe("3");
  });

  describe("that were given before", () => {
    beforeAll(async () => {
      await env.COUNTERS.put("cheers", "41");
    });

    it("are counted on", async () => {
      const response = await cheer();
      expect(await response.json()).toEqual({ cheers: 42 });
    });
  });

  it("can't be taken back", async () => {
    const response = await SELF.fetch("/api/cheers", { method: "DELETE" });
    expect(response.status).toBe(405);
  });
});
