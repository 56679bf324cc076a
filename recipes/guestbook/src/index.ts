/**
 * A guestbook: one page that lists what visitors wrote, newest first, and a form to add to it.
 *
 * It needs no script in the browser. A form that is accepted answers with a redirect to the page
 * (POST, redirect, GET), so that reloading never sends it twice; one that is not comes back with
 * what was typed and what is wrong with it.
 */
import { addEntry, BadCursor, listEntries } from "./entries.ts";
import { readForm, UnreadableForm } from "./form.ts";
import { bookPage, messagePage } from "./pages.ts";
import type { Form } from "./form.ts";
import type { Html } from "./html.ts";

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const url = new URL(request.url);
    if (url.pathname !== "/") return notFound(env);
    switch (request.method) {
      case "GET":
      case "HEAD":
        return showBook(env, url.searchParams.get("cursor"));
      case "POST":
        return isFromElsewhere(request, url) ? refuse(env) : sign(request, env);
      default:
        return methodNotAllowed(env);
    }
  },
};

async function showBook(env: Env, cursor: string | null, form: Form | null = null): Promise<Response> {
  try {
    const page = await listEntries(env.GUESTS, env.PAGE_SIZE, cursor);
    const status = form === null ? 200 : 422;
    return respond(status, bookPage({ title: env.TITLE, page, isFirst: cursor === null, form }));
  } catch (error) {
    // A link with a cursor may be old, or edited by hand. The first page is always there.
    if (error instanceof BadCursor) return redirect("/");
    throw error;
  }
}

async function sign(request: Request, env: Env): Promise<Response> {
  let form: Form;
  try {
    form = await readForm(request);
  } catch (error) {
    if (!(error instanceof UnreadableForm)) throw error;
    return respond(400, messagePage(env.TITLE, "That was not a form", "Please use the form on the first page."));
  }
  if (form.problems.length > 0) return showBook(env, null, form);
  const id = await addEntry(env.GUESTS, { name: form.name, message: form.message });
  return redirect(`/#${id}`);
}

/** Whether a form on somebody else's page sent this. Programs, which send neither field, may. */
function isFromElsewhere(request: Request, url: URL): boolean {
  const site = request.headers.get("sec-fetch-site");
  if (site !== null) return site !== "same-origin" && site !== "none";
  const origin = request.headers.get("origin");
  if (origin === null) return false;
  return !URL.canParse(origin) || new URL(origin).host !== url.host;
}

function refuse(env: Env): Response {
  return respond(403, messagePage(env.TITLE, "Not from here", "This form belongs to another site."));
}

function notFound(env: Env): Response {
  return respond(404, messagePage(env.TITLE, "Nothing here", "This book has one page only."));
}

function methodNotAllowed(env: Env): Response {
  const page = messagePage(env.TITLE, "Not like this", "The book can be read (GET) and signed (POST).");
  return respond(405, page, { allow: "GET, HEAD, POST" });
}

const HEADERS = {
  "content-type": "text/html; charset=utf-8",
  "cache-control": "no-cache",
  "content-security-policy":
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  "referrer-policy": "same-origin",
  "x-content-type-options": "nosniff",
};

function respond(status: number, page: Html, more: Record<string, string> = {}): Response {
  return new Response(page.text, { status, headers: { ...HEADERS, ...more } });
}

/** 303: whatever the method was, go on with GET. */
function redirect(location: string): Response {
  return new Response(null, { status: 303, headers: { location } });
}
