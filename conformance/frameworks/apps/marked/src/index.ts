import { Marked, Renderer, lexer, marked } from "marked";
import page from "./page.md";

const own = new Marked({
  gfm: true,
  breaks: true,
  extensions: [{
    name: "mention",
    level: "inline",
    start: (source) => source.indexOf("@"),
    tokenizer(source) {
      const match = /^@([a-z]+)/.exec(source);
      return match ? { type: "mention", raw: match[0], name: match[1] } : undefined;
    },
    renderer: (token) => `<a class="mention">${token.name}</a>`,
  }],
  renderer: { heading({ tokens, depth }) { return `<h${depth} id="h">${this.parser.parseInline(tokens)}</h${depth}>\n`; } },
  async: true,
  walkTokens: async (token) => { if (token.type === "link") token.href += "?ref=test"; },
});

export default {
  async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/page") return new Response(await marked.parse(page));
    if (pathname === "/tokens") return Response.json(lexer(page));
    const source = await request.text();
    if (pathname === "/own") return new Response(await own.parse(source));
    if (pathname === "/inline") return new Response(marked.parseInline(source) as string);
    return new Response(marked.parse(source, { gfm: pathname === "/gfm", pedantic: pathname === "/pedantic", renderer: new Renderer() }) as string);
  },
};
