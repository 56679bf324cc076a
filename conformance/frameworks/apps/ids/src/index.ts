import { customAlphabet, nanoid, urlAlphabet } from "nanoid";
import { customAlphabet as loose, nanoid as looseId } from "nanoid/non-secure";
import * as uuid from "uuid";

const repeat = <T>(count: number, make: () => T): T[] => Array.from({ length: count }, make);
const distinct = (list: string[]) => new Set(list).size === list.length;

const routes: Record<string, () => unknown> = {
  "/nanoid": () => {
    const ids = repeat(200, () => nanoid());
    return { distinct: distinct(ids), shape: ids.every((id) => /^[\w-]{21}$/.test(id)), short: nanoid(7).length, alphabet: urlAlphabet.length };
  },
  "/custom": () => ({ hex: /^[0-9a-f]{32}$/.test(customAlphabet("0123456789abcdef", 32)()), loose: /^[ab]{9}$/.test(loose("ab", 9)()), id: looseId().length }),
  "/v4": () => {
    const ids = repeat(200, () => uuid.v4());
    return { distinct: distinct(ids), valid: ids.every((id) => uuid.validate(id) && uuid.version(id) === 4) };
  },
  "/v7": () => {
    const ids = repeat(100, () => uuid.v7());
    return { distinct: distinct(ids), sorted: [...ids].sort().join() === ids.join(), valid: ids.every((id) => uuid.version(id) === 7) };
  },
  "/v1": () => ({ version: uuid.version(uuid.v1()), six: uuid.version(uuid.v6()), fixed: uuid.v1({ node: Uint8Array.of(1, 35, 69, 103, 137, 171), clockseq: 0x1234, msecs: 1700000000000, nsecs: 5678 }) }),
  "/names": () => ({ v3: uuid.v3("a.test", uuid.v3.DNS), v5: uuid.v5("https://a.test/é", uuid.v5.URL), own: uuid.v5("x", uuid.MAX) }),
  "/bytes": () => ({ parsed: [...uuid.parse("3f2504e0-4f89-41d3-9a0c-0305e82c3301")], text: uuid.stringify(Uint8Array.from({ length: 16 }, (_, i) => i * 16), 0), nil: uuid.NIL, max: uuid.MAX }),
  "/fixed": () => ({ v4: uuid.v4({ random: Uint8Array.from({ length: 16 }, (_, i) => i) }), v7: uuid.v7({ random: new Uint8Array(16).fill(9), msecs: 1700000000000, seq: 7 }), converted: uuid.v1ToV6("f81d4fae-7dec-11d0-a765-00a0c91e6bf6") }),
  "/invalid": () => {
    try {
      return uuid.parse("not one");
    } catch (error) {
      return { name: (error as Error).name, message: (error as Error).message };
    }
  },
};

export default {
  fetch(request: Request): Response {
    const route = routes[new URL(request.url).pathname];
    return route ? Response.json(route()) : new Response("no such route", { status: 404 });
  },
};
