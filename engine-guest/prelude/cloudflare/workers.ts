/**
 * `cloudflare:workers`: the environment as an import, and the classes that workers call each other with.
 */
import { DurableObject, RpcStub, RpcTarget, WorkerEntrypoint } from "../entrypoint.ts";
import { importedEnv } from "../env.ts";

let env: any;
importedEnv((found) => {
  env = found;
});

export { DurableObject, RpcStub, RpcTarget, WorkerEntrypoint, env };
