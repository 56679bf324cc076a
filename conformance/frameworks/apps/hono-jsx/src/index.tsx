/** @jsxImportSource hono/jsx */
import { Hono } from "hono";
import { Suspense, createContext, useContext } from "hono/jsx";
import type { FC, PropsWithChildren } from "hono/jsx";
import { jsxRenderer } from "hono/jsx-renderer";
import { html, raw } from "hono/html";
import { css, Style } from "hono/css";

const Theme = createContext("light");

const Layout: FC<PropsWithChildren<{ title: string }>> = ({ title, children }) => (
  <html lang="en">
    <head><title>{title}</title></head>
    <body class="page">{children}</body>
  </html>
);

const Item: FC<{ name: string; price: number }> = ({ name, price }) => {
  const theme = useContext(Theme);
  return <li class={theme} data-price={price}>{name}: {price.toFixed(2)}</li>;
};

const Later: FC = async () => {
  await Promise.resolve();
  return <b>later</b>;
};

const box = css`color: red; padding: 1px;`;
const app = new Hono();

app.get("/", (c) =>
  c.html(
    <Layout title={"A & B <c>"}>
      <Theme.Provider value="dark">
        <ul>
          {[["tea", 1.5], ["milk", 2]].map(([name, price]) => <Item name={name as string} price={price as number} />)}
        </ul>
      </Theme.Provider>
      {null}{false}{0}
      <input type="checkbox" checked disabled={false} />
      <p style={{ color: "red", fontSize: "12px" }}>{"<escaped>"}</p>
      <p dangerouslySetInnerHTML={{ __html: "<i>raw</i>" }} />
      {raw("<hr/>")}
      <></>
    </Layout>,
  ));
app.get("/async", async (c) => c.html(<div><Later /></div>));
app.get("/suspense", (c) => c.html(<Suspense fallback={<i>wait</i>}><Later /></Suspense>));
app.get("/css", (c) => c.html(<html><head><Style /></head><body class={box}>styled</body></html>));
app.get("/tag", (c) => c.html(html`<p>${"<x>"} ${html`<b>in</b>`}</p>`));
app.use("/layout/*", jsxRenderer(({ children }) => <main>{children}</main>));
app.get("/layout/x", (c) => c.render(<p>inside</p>));

export default app;
