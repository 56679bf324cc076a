/**
 * What the pages look like.
 */
import { MESSAGE_MAX, NAME_MAX } from "./form.ts";
import { html } from "./html.ts";
import type { Entry, Page } from "./entries.ts";
import type { Form, Problem } from "./form.ts";
import type { Html } from "./html.ts";

export interface Book {
  title: string;
  page: Page;
  isFirst: boolean;
  /** A form that was sent and not accepted. */
  form: Form | null;
}

export function bookPage(book: Book): Html {
  const { entries, cursor } = book.page;
  const failed = book.form !== null;
  return layout(
    failed ? `Please check your entry · ${book.title}` : book.title,
    html`
      <header>
        <h1>${book.title}</h1>
        <p>Good to see you. Leave a line for those who come after you.</p>
      </header>
      <main>
        ${book.isFirst && signForm(book.form)}
        <section aria-labelledby="entries">
          <h2 id="entries">${book.isFirst ? "What others wrote" : "Earlier entries"}</h2>
          ${entries.length === 0
            ? html`<p class="empty">No entries yet. The first page is yours.</p>`
            : html`<ol class="entries">${entries.map(entryItem)}</ol>`}
        </section>
        ${(!book.isFirst || cursor !== null) && pages(book.isFirst, cursor)}
      </main>`,
  );
}

export function messagePage(title: string, heading: string, text: string): Html {
  return layout(
    `${heading} · ${title}`,
    html`
      <header><h1>${heading}</h1></header>
      <main>
        <p>${text}</p>
        <p><a href="/">Back to the guestbook</a></p>
      </main>`,
  );
}

function layout(title: string, content: Html): Html {
  return html`<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>${title}</title>
    <link rel="icon" href="/favicon.svg" type="image/svg+xml">
    <link rel="stylesheet" href="/style.css">
  </head>
  <body>
    <div class="page">${content}
      <footer><p>Served by <strong>Selvedge</strong>, kept in its KV.</p></footer>
    </div>
  </body>
</html>
`;
}

function signForm(form: Form | null): Html {
  const problems = form?.problems ?? [];
  const problemOf = (field: Problem["field"]) => problems.find((problem) => problem.field === field);
  return html`
        <form method="post" action="/" aria-labelledby="sign">
          <h2 id="sign">Sign the book</h2>
          ${problems.length > 0 && html`<p class="problem" role="alert">Not saved yet: please see below.</p>`}
          ${field("name", "Your name", problemOf("name"), (described) => html`
            <input id="name" name="name" value="${form?.name ?? ""}" maxlength="${NAME_MAX}" autocomplete="name" required ${described}>`)}
          ${field("message", "Your message", problemOf("message"), (described) => html`
            <textarea id="message" name="message" rows="4" maxlength="${MESSAGE_MAX}" required ${described}>
${form?.message ?? ""}</textarea>`)}
          <button type="submit">Sign</button>
        </form>`;
}

/** A label, a control, and what is wrong with it, tied together for those who can't see them side by side. */
function field(id: string, label: string, problem: Problem | undefined, control: (described: Html) => Html): Html {
  const described = problem ? html`aria-invalid="true" aria-describedby="${id}-problem"` : html``;
  return html`
          <div class="field">
            <label for="${id}">${label}</label>${control(described)}
            ${problem ? html`<p class="problem" id="${id}-problem">${problem.text}</p>` : null}
          </div>`;
}

function entryItem(entry: Entry): Html {
  const paragraphs = entry.message.split("\n\n").map((text) => html`<p>${lines(text)}</p>`);
  return html`
            <li id="${entry.id}">
              <article>
                <h3>${entry.name}</h3>
                <time datetime="${new Date(entry.writtenAt).toISOString()}">${dateText(entry.writtenAt)}</time>
                <div class="message">${paragraphs}</div>
              </article>
            </li>`;
}

function lines(text: string): Html[] {
  return text.split("\n").map((line, i) => (i === 0 ? html`${line}` : html`<br>${line}`));
}

function pages(isFirst: boolean, cursor: string | null): Html {
  return html`
        <nav aria-label="Pages">
          ${!isFirst && html`<a href="/" rel="first">Newest entries</a>`}
          ${cursor !== null && html`<a href="/?cursor=${encodeURIComponent(cursor)}" rel="next">Earlier entries</a>`}
        </nav>`;
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** `23 Nov 2026, 07:05 UTC` */
function dateText(ms: number): string {
  const date = new Date(ms);
  const two = (n: number) => String(n).padStart(2, "0");
  const day = `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]} ${date.getUTCFullYear()}`;
  return `${day}, ${two(date.getUTCHours())}:${two(date.getUTCMinutes())} UTC`;
}
