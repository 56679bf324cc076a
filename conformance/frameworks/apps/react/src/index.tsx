import { Component, Suspense, createContext, forwardRef, memo, use, useContext, useId, useMemo, useReducer, useState, type ReactNode } from "react";
import { renderToReadableStream, renderToStaticMarkup, renderToString } from "react-dom/server.edge";

const Theme = createContext("light");

const Row = memo(function Row({ index, name = "row" }: { index: number; name?: string }) {
  const theme = useContext(Theme);
  const label = useMemo(() => `${name} ${index}`, [name, index]);
  return <tr className={theme} data-index={index}><td>{label}</td><td>{index % 2 === 0 && <b>even</b>}</td></tr>;
});

const Field = forwardRef<HTMLInputElement, { label: string }>(function Field({ label }, ref) {
  const id = useId();
  return <><label htmlFor={id}>{label}</label><input id={id} ref={ref} defaultValue="a" autoFocus /></>;
});

function Counter({ from }: { from: number }) {
  const [count] = useState(() => from * 2);
  const [total] = useReducer((state: number, action: number) => state + action, count);
  return <output onClick={() => {}}>{count} of {total}</output>;
}

class Boundary extends Component<{ children: ReactNode }, { failed: boolean }> {
  override state = { failed: false };
  static getDerivedStateFromError() {
    return { failed: true };
  }
  override render() {
    return this.state.failed ? <p>failed</p> : this.props.children;
  }
}

function Page({ rows, children }: { rows: number; children?: ReactNode }) {
  return (
    <html lang="en">
      <head><title>A page</title><meta name="x" content="y" /></head>
      <body className="page" style={{ margin: 0, "--x": "1px", lineHeight: 2, paddingTop: 3 } as object}>
        <h1>{"A & B <c> \"d\""}</h1>
        <Counter from={21} />
        <Field label="name" />
        <Theme value="dark">
          <table><tbody>{Array.from({ length: rows }, (_, index) => <Row key={index} index={index} />)}</tbody></table>
        </Theme>
        <select defaultValue="b"><option value="a">a</option><option value="b">b</option></select>
        <textarea defaultValue={"one\ntwo"} />
        <svg viewBox="0 0 1 1"><path strokeWidth={2} d="M0 0" /></svg>
        <p dangerouslySetInnerHTML={{ __html: "<i>raw</i>" }} suppressHydrationWarning />
        <Boundary>{children}</Boundary>
        <>{null}{undefined}{true}{0}{"text"}{[1, 2]}</>
      </body>
    </html>
  );
}

function Later({ value }: { value: Promise<string> }) {
  return <em>{use(value)}</em>;
}

async function later(): Promise<string> {
  await new Promise((done) => setTimeout(done, 5));
  return "later";
}

export default {
  async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const html = (body: BodyInit) => new Response(body, { headers: { "content-type": "text/html; charset=utf-8" } });
    switch (pathname) {
      case "/": return html("<!doctype html>" + renderToString(<Page rows={5} />));
      case "/large": return html(renderToString(<Page rows={500} />));
      case "/static": return html(renderToStaticMarkup(<Page rows={1} />));
      case "/stream": return html(await renderToReadableStream(<Page rows={40} />));
      case "/suspense": return html(await renderToReadableStream(<Page rows={1}><Suspense fallback={<i>wait</i>}><Later value={later()} /></Suspense></Page>));
      case "/all-ready": {
        const stream = await renderToReadableStream(<Suspense fallback={<i>wait</i>}><Later value={later()} /></Suspense>);
        await stream.allReady;
        return html(stream);
      }
      case "/error": {
        const errors: string[] = [];
        const Broken = (): ReactNode => { throw new Error("as planned"); };
        try {
          await renderToReadableStream(<Broken />, { onError: (error) => { errors.push(String(error)); } });
        } catch (error) {
          errors.push(`rejected: ${error}`);
        }
        return Response.json(errors);
      }
      default: return new Response("no such page", { status: 404 });
    }
  },
};
