import * as z from "zod";
import * as mini from "zod/mini";
import { z as v3 } from "zod/v3";

const Address = z.object({ street: z.string().trim().min(1), zip: z.string().regex(/^\d{5}$/) }).strict();
const User = z
  .object({
    id: z.uuid(),
    email: z.email(),
    age: z.number().int().min(0).max(150).optional(),
    role: z.enum(["reader", "writer"]).default("reader"),
    born: z.coerce.date().optional(),
    site: z.url().nullable(),
    tags: z.set(z.string()).or(z.array(z.string()).transform((list) => new Set(list))),
    address: Address.partial(),
    amount: z.coerce.bigint().optional(),
    when: z.iso.datetime().optional(),
  })
  .superRefine((user, context) => {
    if (user.role === "writer" && user.age === undefined) context.addIssue({ code: "custom", path: ["age"], message: "writers have an age" });
  });
const Shape = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("circle"), radius: z.number().positive() }),
  z.object({ kind: z.literal("square"), side: z.number().positive() }),
]);
interface Tree { name: string; children: Tree[] }
const Tree: z.ZodType<Tree> = z.lazy(() => z.object({ name: z.string(), children: z.array(Tree) }));
const Brand = z.string().brand<"Brand">().pipe(z.transform((text) => text.length));
const Template = z.templateLiteral(["v", z.number(), ".", z.number()]);

const show = (value: unknown) => JSON.stringify(value, (_, v) => (v instanceof Set ? [...v] : typeof v === "bigint" ? `${v}n` : v));

const schemas: Record<string, z.ZodType> = { user: User, shape: Shape, tree: Tree, brand: Brand, template: Template };

export default {
  async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const name = pathname.slice(1);
    if (name === "schema") return Response.json([z.toJSONSchema(Address), z.toJSONSchema(Shape), z.toJSONSchema(Template)]);
    const value = await request.json();
    if (name === "mini") {
      const schema = mini.object({ a: mini.string().check(mini.minLength(2)), b: mini.optional(mini.number()) });
      const result = mini.safeParse(schema, value);
      return Response.json(result.success ? result.data : mini.treeifyError(result.error));
    }
    if (name === "v3") {
      const result = v3.object({ a: v3.string().min(2), b: v3.number().optional() }).safeParse(value);
      return Response.json(result.success ? result.data : result.error.format());
    }
    const result = await schemas[name]!.safeParseAsync(value);
    if (result.success) return new Response(show(result.data));
    return Response.json({ issues: result.error.issues, tree: z.treeifyError(result.error), pretty: z.prettifyError(result.error) }, { status: 400 });
  },
};
