// The hooks themselves; they run on a thread of their own.
import { existsSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import ts from "typescript";

const EXTENSIONS = [".ts", ".tsx"];
const TEXT = /\.(txt|sql|md|html)$/;

export async function resolve(specifier, context, next) {
  try {
    return await next(specifier, context);
  } catch (error) {
    if (!specifier.startsWith(".")) throw error;
    const path = fileURLToPath(new URL(specifier, context.parentURL));
    const found = EXTENSIONS.map((extension) => path + extension).find((file) => existsSync(file));
    if (!found) throw error;
    return { url: pathToFileURL(found).href, format: "module", shortCircuit: true };
  }
}

export async function load(url, context, next) {
  const path = url.startsWith("file:") ? fileURLToPath(url) : "";
  if (path.endsWith(".wasm")) return { format: "module", shortCircuit: true, source: wasmModule(path) };
  if (path.includes("node_modules")) return next(url, context);
  if (TEXT.test(path)) return { format: "module", shortCircuit: true, source: `export default ${JSON.stringify(readFileSync(path, "utf8"))}` };
  if (path.endsWith(".json")) return { format: "module", shortCircuit: true, source: `export default ${readFileSync(path, "utf8")}` };
  if (!/\.tsx?$/.test(path)) return next(url, context);
  const { outputText } = ts.transpileModule(readFileSync(path, "utf8"), { fileName: path, compilerOptions: options(dirname(path)) });
  return { format: "module", shortCircuit: true, source: outputText };
}

/** What Workers-like platforms make of an import of WebAssembly. */
function wasmModule(path) {
  return `import { readFileSync } from "node:fs"; export default new WebAssembly.Module(readFileSync(${JSON.stringify(path)}))`;
}

function options(directory) {
  const found = ts.findConfigFile(directory, existsSync);
  const said = found ? ts.readConfigFile(found, ts.sys.readFile).config.compilerOptions : {};
  const { jsxImportSource, experimentalDecorators, emitDecoratorMetadata } = said;
  const { ReactJSX } = ts.JsxEmit;
  return { jsx: ReactJSX, jsxImportSource, experimentalDecorators, emitDecoratorMetadata, target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, isolatedModules: true };
}
