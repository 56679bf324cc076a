import * as jose from "jose";

const secret = new TextEncoder().encode("a secret of this test, and thirty-two bytes long at least");
const claims = { sub: "user-1", scope: ["read", "write"] };

const PRIVATE = {
  es256: { kty: "EC", crv: "P-256", x: "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", y: "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM", d: "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE" },
  eddsa: { kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", d: "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A" },
};

/** Signs and verifies: what is random in a signature is left out of the answer. */
async function roundTrip(alg: string, key: jose.JWK | Uint8Array): Promise<object> {
  const signing = key instanceof Uint8Array ? key : ((await jose.importJWK(key, alg)) as CryptoKey);
  const { d, ...open } = key as jose.JWK;
  const checking = key instanceof Uint8Array ? key : ((await jose.importJWK(open, alg)) as CryptoKey);
  const token = await new jose.SignJWT(claims).setProtectedHeader({ alg, typ: "JWT" }).setIssuer("urn:test").setExpirationTime(4102444800).setIssuedAt(1700000000).sign(signing);
  const { payload, protectedHeader } = await jose.jwtVerify(token, checking, { issuer: "urn:test" });
  return { payload, protectedHeader, parts: token.split(".").map((part) => part.length) };
}

async function generated(alg: string): Promise<object> {
  const { publicKey, privateKey } = await jose.generateKeyPair(alg, { extractable: true });
  const token = await new jose.SignJWT(claims).setProtectedHeader({ alg }).sign(privateKey);
  const jwk = await jose.exportJWK(publicKey);
  const { payload } = await jose.jwtVerify(token, await jose.importJWK(jwk, alg));
  return { payload, kty: jwk.kty, crv: jwk.crv ?? null, pem: (await jose.exportSPKI(publicKey)).split("\n")[0] };
}

async function encrypted(alg: string, enc: string, key: Uint8Array): Promise<object> {
  const token = await new jose.EncryptJWT(claims).setProtectedHeader({ alg, enc }).setIssuedAt(1700000000).encrypt(key);
  const { payload, protectedHeader } = await jose.jwtDecrypt(token, key);
  return { payload, protectedHeader: { alg: protectedHeader.alg, enc: protectedHeader.enc }, parts: token.split(".").length };
}

async function failure(work: () => Promise<unknown>): Promise<object> {
  try {
    return { unexpected: await work() };
  } catch (error) {
    const { name, message, code, claim, reason } = error as any;
    return { name, message, code, claim, reason, isJose: error instanceof jose.errors.JOSEError };
  }
}

const routes: Record<string, () => Promise<object>> = {
  "/hs256": async () => ({ token: await new jose.SignJWT(claims).setProtectedHeader({ alg: "HS256" }).setIssuedAt(1700000000).sign(secret) }),
  "/hs512": () => roundTrip("HS512", secret),
  "/es256": () => roundTrip("ES256", PRIVATE.es256),
  "/eddsa": () => roundTrip("EdDSA", PRIVATE.eddsa),
  "/rs256": () => generated("RS256"),
  "/ps384": () => generated("PS384"),
  "/es512": () => generated("ES512"),
  "/dir": () => encrypted("dir", "A256GCM", secret.subarray(0, 32)),
  "/kw": () => encrypted("A128KW", "A128CBC-HS256", secret.subarray(0, 16)),
  "/gcmkw": () => encrypted("A256GCMKW", "A128GCM", secret.subarray(0, 32)),
  "/pbes2": async () => {
    const jwe = await new jose.CompactEncrypt(new TextEncoder().encode("words")).setProtectedHeader({ alg: "PBES2-HS256+A128KW", enc: "A128GCM" }).setKeyManagementParameters({ p2c: 1000 }).encrypt(secret);
    return { text: new TextDecoder().decode((await jose.compactDecrypt(jwe, secret, { keyManagementAlgorithms: ["PBES2-HS256+A128KW"] })).plaintext) };
  },
  "/ecdh": async () => {
    const { publicKey, privateKey } = await jose.generateKeyPair("ECDH-ES", { crv: "X25519" });
    const jwe = await new jose.CompactEncrypt(new TextEncoder().encode("words")).setProtectedHeader({ alg: "ECDH-ES", enc: "A256GCM" }).encrypt(publicKey);
    return { text: new TextDecoder().decode((await jose.compactDecrypt(jwe, privateKey)).plaintext) };
  },
  "/thumbprint": async () => ({ thumbprint: await jose.calculateJwkThumbprint(PRIVATE.es256), uri: await jose.calculateJwkThumbprintUri(PRIVATE.eddsa, "sha512") }),
  "/jwks": async () => {
    const { d, ...open } = PRIVATE.es256;
    const keys = jose.createLocalJWKSet({ keys: [{ ...open, kid: "one", alg: "ES256" }] });
    const token = await new jose.SignJWT(claims).setProtectedHeader({ alg: "ES256", kid: "one" }).sign((await jose.importJWK(PRIVATE.es256, "ES256")) as CryptoKey);
    return (await jose.jwtVerify(token, keys)).payload;
  },
  "/expired": () => failure(async () => jose.jwtVerify(await new jose.SignJWT(claims).setProtectedHeader({ alg: "HS256" }).setExpirationTime(1).sign(secret), secret)),
  "/tampered": () => failure(async () => {
    const token = await new jose.SignJWT(claims).setProtectedHeader({ alg: "HS256" }).sign(secret);
    return jose.jwtVerify(token.replace(/\.[^.]+\./, ".e30."), secret);
  }),
  "/none": () => failure(() => jose.jwtVerify("e30.e30.", secret)),
  "/unsecured": async () => ({ token: new jose.UnsecuredJWT(claims).setIssuer("x").encode(), decoded: jose.decodeJwt("e30.eyJhIjoxfQ.x"), header: jose.decodeProtectedHeader("eyJhbGciOiJub25lIn0.e30.") }),
};

export default {
  async fetch(request: Request): Promise<Response> {
    const route = routes[new URL(request.url).pathname];
    return route ? Response.json(await route()) : new Response("no such route", { status: 404 });
  },
};
