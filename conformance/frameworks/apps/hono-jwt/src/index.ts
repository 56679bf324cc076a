import { Hono } from "hono";
import { decode, jwt, sign, verify } from "hono/jwt";

const SECRET = "a secret of this test and of nothing else";
const PAYLOAD = { sub: "user-1", role: "reader", exp: 4102444800 };

const app = new Hono<{ Variables: { jwtPayload: typeof PAYLOAD } }>();

app.use("/auth/*", jwt({ secret: SECRET, alg: "HS256" }));

app.get("/auth/me", (c) => c.json(c.get("jwtPayload")));
app.get("/token", async (c) => c.text(await sign(PAYLOAD, SECRET, "HS256")));
app.get("/token/:alg", async (c) => {
  const alg = c.req.param("alg") as "HS384";
  const token = await sign(PAYLOAD, SECRET, alg);
  return c.json({ token, decoded: decode(token), verified: await verify(token, SECRET, alg) });
});

export default app;
