import { ColorType, decode, encode } from "@cf-wasm/png";

function picture(width: number, height: number): Uint8Array {
  const pixels = new Uint8Array(width * height * 4);
  for (let i = 0; i < pixels.length; i++) pixels[i] = (i * 37 + (i >> 5)) & 255;
  return pixels;
}

export default {
  async fetch(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const side = Number(searchParams.get("side") ?? 8);
    if (pathname === "/encode") {
      return new Response(encode(picture(side, side), side, side), { headers: { "content-type": "image/png" } });
    }
    if (pathname === "/grey") {
      const pixels = picture(side, side).subarray(0, side * side);
      return new Response(encode(pixels, side, side, { color: ColorType.Grayscale }));
    }
    if (pathname === "/both") {
      const { image, ...rest } = decode(encode(picture(side, side), side, side));
      return Response.json({ ...rest, same: image.every((byte, i) => byte === picture(side, side)[i]) });
    }
    try {
      return Response.json(decode(new Uint8Array(await request.arrayBuffer())).width);
    } catch (error) {
      return new Response(String(error), { status: 422 });
    }
  },
};
