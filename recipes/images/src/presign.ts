/**
 * A presigned URL (AWS Signature Version 4 in the query): whoever has it may do this one request until it expires.
 */
export interface Signer {
  endpoint: string;
  accessKey: string;
  secretKey: string;
}

const text = new TextEncoder();

async function hmac(key: BufferSource, data: string): Promise<ArrayBuffer> {
  const imported = await crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return crypto.subtle.sign("HMAC", imported, text.encode(data));
}

function hex(bytes: ArrayBuffer): string {
  return [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** As the signature wants it: everything but letters, digits and `-_.~`. */
function encode(value: string): string {
  return encodeURIComponent(value).replace(/[!'()*]/g, (c) => "%" + c.charCodeAt(0).toString(16).toUpperCase());
}

/**
 * `headers` must be sent as they are given here, so that a URL for a PNG takes nothing else.
 */
export async function presign(
  signer: Signer, method: string, path: string, seconds: number, headers: Record<string, string>, now = new Date(),
): Promise<string> {
  const host = new URL(signer.endpoint).host;
  const date = now.toISOString().replace(/[-:]|\.\d{3}/g, "");
  const scope = `${date.slice(0, 8)}/us-east-1/s3/aws4_request`;
  const signed: [string, string][] = [...Object.entries(headers), ["host", host]];
  signed.sort(([a], [b]) => (a < b ? -1 : 1));
  const names = signed.map(([name]) => name).join(";");
  const query = [
    ["X-Amz-Algorithm", "AWS4-HMAC-SHA256"],
    ["X-Amz-Credential", `${signer.accessKey}/${scope}`],
    ["X-Amz-Date", date],
    ["X-Amz-Expires", String(seconds)],
    ["X-Amz-SignedHeaders", names],
  ].map(([name, value]) => `${name}=${encode(value!)}`).join("&");
  const encodedPath = path.split("/").map(encode).join("/");
  const fields = signed.map(([name, value]) => `${name}:${value}\n`).join("");
  const canonical = [method, encodedPath, query, fields, names, "UNSIGNED-PAYLOAD"].join("\n");
  const digest = hex(await crypto.subtle.digest("SHA-256", text.encode(canonical)));
  let key: BufferSource = text.encode("AWS4" + signer.secretKey);
  for (const step of scope.split("/")) key = await hmac(key, step);
  const signature = hex(await hmac(key, ["AWS4-HMAC-SHA256", date, scope, digest].join("\n")));
  return `${signer.endpoint}${encodedPath}?${query}&X-Amz-Signature=${signature}`;
}
