// Lets node load what the apps are written in: TypeScript and JSX by the typescript package, text
// files as their text, and specifiers without an extension. Used as `node --import`.
import { register } from "node:module";

register("./loader.mjs", import.meta.url);
