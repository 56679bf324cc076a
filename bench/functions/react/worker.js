import { createElement } from "react";
import { renderToString } from "react-dom/server.edge";

function Row({ id, name, price, tags }) {
  return createElement(
    "li",
    { className: id % 2 === 0 ? "even" : "odd", "data-id": id },
    createElement("a", { href: `/products/${id}` }, name),
    createElement("span", { className: "price" }, `${price.toFixed(2)} €`),
    tags.map((tag) => createElement("em", { key: tag }, tag)),
  );
}

function Page({ rows, asked }) {
  return createElement(
    "html",
    { lang: "en" },
    createElement("head", null, createElement("title", null, "Products & <more>")),
    createElement("body", null, createElement("h1", null, asked), createElement("ul", null, rows.map((row) => createElement(Row, { key: row.id, ...row })))),
  );
}

// 99 rows of five elements each, and five around them.
const rows = Array.from({ length: 99 }, (_, id) => ({ id, name: `Product ${id}`, price: id * 1.1, tags: [`tag-${id % 7}`, "new"] }));

export default {
  fetch(request) {
    const asked = new URL(request.url).searchParams.get("q") ?? "";
    const html = renderToString(createElement(Page, { rows, asked }));
    return new Response(`<!doctype html>${html}`, { headers: { "content-type": "text/html; charset=utf-8" } });
  },
};
