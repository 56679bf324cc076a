const log: unknown[] = [];

// What `reflect-metadata` does, as far as a container needs it.
const store = new WeakMap<object, Map<string, unknown>>();
(Reflect as any).metadata = (key: string, value: unknown) => (target: any, property?: string) => {
  const all = store.get(target) ?? new Map<string, unknown>();
  store.set(target, all.set(`${String(property)} ${key}`, value));
};
const read = (target: object, property: string | undefined, key: string) => {
  const found = store.get(target)?.get(`${String(property)} ${key}`);
  return Array.isArray(found) ? found.map((type: any) => type?.name) : (found as any)?.name;
};

const noted = (label: string): any => (target: any, key?: string, descriptor?: any) => {
  log.push([label, typeof target, key ?? null, typeof descriptor]);
  if (descriptor && typeof descriptor === "object" && typeof descriptor.value === "function") {
    const { value } = descriptor;
    return { ...descriptor, value(this: unknown, ...args: unknown[]) { return `[${value.apply(this, args)}]`; } };
  }
  return undefined;
};
const injected = (target: any, key: string | undefined, index: number) => { log.push(["parameter", typeof target, key ?? null, index]); };

class Dependency { readonly name = "dependency"; }

@noted("class") @noted("inner class")
class Service {
  @noted("property") field: string = "f";
  @noted("static") static count: number = 1;
  constructor(@injected private readonly dependency: Dependency, @injected other: string[]) { log.push(["constructed", other.length]); }
  @noted("method") method(@injected text: string, times?: number): Promise<string> { return `${text} ${times} ${this.dependency.name}` as any; }
  @noted("accessor") get value(): Dependency { return this.dependency; }
}

const routes: Record<string, () => unknown> = {
  "/use": () => {
    const service = new Service(new Dependency(), ["a"]);
    return [service.method("m", 2), service.field, service.value.name, Service.count];
  },
  "/metadata": () => [
    read(Service, undefined, "design:paramtypes"),
    read(Service.prototype, "method", "design:paramtypes"),
    read(Service.prototype, "method", "design:returntype"),
    read(Service.prototype, "field", "design:type"),
    read(Service.prototype, "value", "design:type"),
  ],
  "/log": () => log,
};

export default {
  fetch(request: Request): Response {
    const route = routes[new URL(request.url).pathname];
    return route ? Response.json(route()) : new Response("no such route", { status: 404 });
  },
};
