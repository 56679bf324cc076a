type Handlers = Record<string, () => Response | Promise<Response>>;

export function route(request: Request, handlers: Handlers): Response | Promise<Response> {
  const handler = handlers[`${request.method} ${new URL(request.url).pathname}`];
  return handler?.() ?? new Response("not found", { status: 404 });
}
