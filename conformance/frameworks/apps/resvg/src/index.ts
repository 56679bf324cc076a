import { Resvg, initWasm } from "@resvg/resvg-wasm";
import module from "@resvg/resvg-wasm/index_bg.wasm";

await initWasm(module);

const SHAPES = `<svg xmlns="http://www.w3.org/2000/svg" width="120" height="80" viewBox="0 0 120 80">
  <defs><linearGradient id="g"><stop offset="0" stop-color="#09f"/><stop offset="1" stop-color="#f60"/></linearGradient></defs>
  <rect width="120" height="80" rx="9" fill="url(#g)"/>
  <path d="M10 70 C 40 10, 65 10, 95 70 S 150 150, 180 80" stroke="white" stroke-width="3" fill="none"/>
  <circle cx="60" cy="40" r="17" fill="#0008"/>
</svg>`;

export default {
  async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    try {
      const svg = request.method === "POST" ? await request.text() : SHAPES;
      const fitTo = pathname === "/large" ? { mode: "width" as const, value: 300 } : { mode: "original" as const };
      const image = new Resvg(svg, { fitTo }).render();
      const { width, height } = image;
      return new Response(image.asPng(), { headers: { "x-size": `${width}x${height}` } });
    } catch (error) {
      return new Response(String(error), { status: 422 });
    }
  },
};
