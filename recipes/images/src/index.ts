import { presign } from "./presign";

/** What may be uploaded, by its type. */
const ENDINGS: Record<string, string> = { "image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif" };

export default {
  async fetch(request, env): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/uploads" && request.method === "POST") return beginUpload(request, env);
    if (pathname === "/list" && request.method === "GET") return list(env);
    return new Response("not found\n", { status: 404 });
  },
} satisfies ExportedHandler<Env>;

interface ExportedHandler<E> {
  fetch(request: Request, env: E): Promise<Response>;
}

/** Answers a URL to which the browser sends the file itself; the worker never sees its bytes. */
async function beginUpload(request: Request, env: Env): Promise<Response> {
  const { type } = (await request.json().catch(() => ({}))) as { type?: string };
  const ending = type === undefined ? undefined : ENDINGS[type];
  if (type === undefined || ending === undefined) {
    return Response.json({ error: `an image is one of: ${Object.keys(ENDINGS).join(", ")}` }, { status: 422 });
  }
  const key = `${crypto.randomUUID()}.${ending}`;
  const signer = { endpoint: env.S3_ENDPOINT, accessKey: env.S3_ACCESS_KEY, secretKey: env.S3_SECRET_KEY };
  // If-None-Match: nobody writes a second time with the same URL.
  const headers = { "content-type": type, "if-none-match": "*" };
  const url = await presign(signer, "PUT", `/${env.BUCKET}/${key}`, env.UPLOAD_SECONDS, headers);
  return Response.json({ key, url, headers, show: `/images/${key}` });
}

async function list(env: Env): Promise<Response> {
  const page = await env.IMAGES.list({ limit: 100 });
  const images = page.objects.map((image) => ({ show: `/images/${image.key}`, size: image.size, uploaded: image.uploaded }));
  images.sort((a, b) => Number(b.uploaded) - Number(a.uploaded));
  return Response.json(images);
}
