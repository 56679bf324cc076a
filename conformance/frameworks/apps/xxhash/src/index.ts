import xxhash from "xxhash-wasm";

const hasher = await xxhash();

export default {
  async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const bytes = new Uint8Array(await request.arrayBuffer());
    const text = new TextDecoder().decode(bytes);
    if (pathname === "/32") return new Response(`${hasher.h32(text)} ${hasher.h32ToString(text, 7)} ${hasher.h32Raw(bytes)}`);
    if (pathname === "/64") return new Response(`${hasher.h64(text)} ${hasher.h64ToString(text, 9n)} ${hasher.h64Raw(bytes)}`);
    if (pathname === "/pieces") {
      const running = hasher.create64(3n);
      for (let at = 0; at < bytes.length; at += 5) running.update(bytes.subarray(at, at + 5));
      return new Response(running.digest().toString(16));
    }
    // More than the memory that the module begins with.
    const large = new Uint8Array(300_000).map((_, i) => i * 31);
    return new Response(hasher.h64Raw(large).toString(16));
  },
};
