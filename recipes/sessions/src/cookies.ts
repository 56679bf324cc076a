// The cookie: an identifier and its signature, so that nobody makes one up, and no store is asked about one that somebody
// did.

const NAME = "__Host-session";
const encoder = new TextEncoder();

async function sign(key: string, id: string): Promise<string> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const imported = await crypto.subtle.importKey("raw", encoder.encode(key), algorithm, false, ["sign"]);
  const signature = new Uint8Array(await crypto.subtle.sign(algorithm, imported, encoder.encode(id)));
  return btoa(String.fromCharCode(...signature)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

export function newId(): string {
  return crypto.randomUUID();
}

export async function makeCookie(key: string, id: string): Promise<string> {
  return `${NAME}=${id}.${await sign(key, id)}; Path=/; Secure; HttpOnly; SameSite=Lax`;
}

export const GONE = `${NAME}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0`;

/** The identifier in a request's cookie, if one of the keys signed it. */
export async function readCookie(header: string | null, keys: (string | undefined)[]): Promise<string | null> {
  for (const part of (header ?? "").split(";")) {
    const [name, value] = part.trim().split("=", 2);
    const [id, signature] = value?.split(".", 2) ?? [];
    if (name !== NAME || id === undefined || signature === undefined) continue;
    for (const key of keys) {
      // The text of a signature gives nothing away that its bearer did not send.
      if (key !== undefined && (await sign(key, id)) === signature) return id;
    }
  }
  return null;
}
