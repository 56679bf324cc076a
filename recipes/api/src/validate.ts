/**
 * Checks what clients send, once, at the edge of the program. What comes out has the right type,
 * and every fault is reported at once, with its place.
 */
import { ProblemError } from "./problem.ts";
import type { FieldError } from "./problem.ts";
import type { ItemChange, NewItem } from "./item.ts";

const SKU = /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/;
const NAME_MAX = 120;
const STOCK_MAX = 1_000_000;

export async function readNewItem(request: Request): Promise<NewItem> {
  const fields = await Fields.read(request);
  const item = { sku: fields.sku(), name: fields.name(), stock: fields.count("stock", 0) };
  return fields.finish(item);
}

export async function readItemChange(request: Request): Promise<ItemChange> {
  const fields = await Fields.read(request);
  const change = { name: fields.name(), stock: fields.count("stock", 0) };
  return fields.finish(change);
}

export async function readQuantity(request: Request): Promise<number> {
  const fields = await Fields.read(request);
  const quantity = fields.count("quantity", 1);
  return fields.finish(quantity);
}

export function isSku(text: string): boolean {
  return SKU.test(text);
}

/** The revision in `If-Match`, without which nothing is overwritten (RFC 6585, section 3). */
export function readIfMatch(request: Request): number {
  const field = request.headers.get("if-match");
  if (field === null) {
    const detail = "Send If-Match with the ETag that you read, so that you overwrite nobody's change.";
    throw new ProblemError({ status: 428, code: "if_match_required", title: "If-Match is missing", detail });
  }
  const match = /^"(\d{1,15})"$/.exec(field.trim());
  if (match === null) {
    const detail = 'If-Match takes one ETag of this API, such as "42".';
    throw new ProblemError({ status: 400, code: "bad_if_match", title: "If-Match can't be read", detail });
  }
  return Number(match[1]);
}

export function readLimit(url: URL): number {
  const text = url.searchParams.get("limit") ?? "20";
  const limit = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > 100) {
    throw new ProblemError({ status: 400, code: "bad_limit", title: "The limit is not a number from 1 to 100" });
  }
  return limit;
}

/** The fields of a JSON object, each taken once; what is left over is unknown. */
class Fields {
  #fields: Map<string, unknown>;
  #errors: FieldError[] = [];

  private constructor(fields: Map<string, unknown>) {
    this.#fields = fields;
  }

  static async read(request: Request): Promise<Fields> {
    const type = (request.headers.get("content-type") ?? "").split(";")[0]!.trim().toLowerCase();
    if (type !== "application/json") {
      throw new ProblemError({ status: 415, code: "not_json", title: "Send application/json" });
    }
    let body: unknown;
    try {
      body = await request.json();
    } catch (error) {
      // A body that broke off, or is too large, is Selvedge's to answer.
      if (!(error instanceof SyntaxError)) throw error;
      throw new ProblemError({ status: 400, code: "bad_json", title: "The body is not JSON", detail: error.message });
    }
    if (typeof body !== "object" || body === null || Array.isArray(body)) {
      throw new ProblemError({ status: 422, code: "invalid", title: "The body is not an object" });
    }
    return new Fields(new Map(Object.entries(body)));
  }

  sku(): string {
    const value = this.#take("sku");
    if (typeof value === "string" && isSku(value)) return value;
    return this.#wrong("sku", "1 to 32 lower-case letters, digits and inner hyphens", "");
  }

  name(): string {
    const value = this.#take("name");
    const name = typeof value === "string" ? value.trim() : "";
    if (name !== "" && name.length <= NAME_MAX) return name;
    return this.#wrong("name", `a text of 1 to ${NAME_MAX} characters`, "");
  }

  count(field: string, min: number): number {
    const value = this.#take(field);
    if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= STOCK_MAX) return value;
    return this.#wrong(field, `a whole number from ${min} to ${STOCK_MAX}`, 0);
  }

  /** The checked value, if nothing was wrong. */
  finish<T>(value: T): T {
    for (const name of this.#fields.keys()) {
      this.#errors.push({ pointer: pointer(name), detail: "There is no such field." });
    }
    if (this.#errors.length === 0) return value;
    throw new ProblemError({ status: 422, code: "invalid", title: "The body is not valid", errors: this.#errors });
  }

  #take(field: string): unknown {
    const value = this.#fields.get(field);
    this.#fields.delete(field);
    return value;
  }

  #wrong<T>(field: string, wanted: string, instead: T): T {
    this.#errors.push({ pointer: pointer(field), detail: `Give ${wanted}.` });
    return instead;
  }
}

function pointer(name: string): string {
  return `/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
}
