import { createContext, type FunctionComponent } from "preact";
import { useContext, useId, useMemo, useReducer, useState } from "preact/hooks";
import { memo, Suspense, lazy } from "preact/compat";
import { render, renderToStaticMarkup, renderToString, renderToStringAsync } from "preact-render-to-string";
import { renderToReadableStream } from "preact-render-to-string/stream";

const Theme = createContext("light");

const Row: FunctionComponent<{ index: number; name?: string }> = memo(({ index, name = "row" }) => {
  const theme = useContext(Theme);
  const label = useMemo(() => `${name} ${index}`, [name, index]);
  return <tr class={theme} data-index={index}><td>{label}</td><td>{index % 2 === 0 && <b>even</b>}</td></tr>;
});

function Counter({ from }: { from: number }) {
  const [count] = useState(() => from * 2);
  const [total] = useReducer((state: number, action: number) => state + action, count);
  return <output id={useId()} onClick={() => {}}>{count} of {total}</output>;
}

function Page({ rows }: { rows: number }) {
  return (
    <html lang="en">
      <body className="page" style={{ margin: 0, "--x": "1px", lineHeight: 2 }}>
        <h1>{"A & B <c> \"d\""}</h1>
        <Counter from={21} />
        <Theme.Provider value="dark">
          <table><tbody>{Array.from({ length: rows }, (_, index) => <Row key={index} index={index} />)}</tbody></table>
        </Theme.Provider>
        <input value="a" checked disabled={false} readOnly aria-hidden={true} />
        <select value="b"><option value="a">a</option><option value="b">b</option></select>
        <svg viewBox="0 0 1 1"><path strokeWidth={2} d="M0 0" /></svg>
        <p dangerouslySetInnerHTML={{ __html: "<i>raw</i>" }} />
        <>{null}{undefined}{true}{0}{"text"}{[1, 2]}</>
      </body>
    </html>
  );
}

const Later = lazy(async () => ({ default: () => <em>later</em> }));
const Waiting = () => <Suspense fallback={<i>wait</i>}><Later /></Suspense>;

export default {
  async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const html = (body: BodyInit) => new Response(body, { headers: { "content-type": "text/html; charset=utf-8" } });
    switch (pathname) {
      case "/": return html("<!doctype html>" + renderToString(<Page rows={5} />));
      case "/large": return html(render(<Page rows={500} />));
      case "/static": return html(renderToStaticMarkup(<Page rows={1} />));
      case "/async": return html(await renderToStringAsync(<Waiting />));
      case "/stream": return html(renderToReadableStream(<Page rows={20} />) as unknown as ReadableStream);
      default: return new Response("no such page", { status: 404 });
    }
  },
};
