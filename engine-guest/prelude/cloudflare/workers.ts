/**
 * `cloudflare:workers`: the environment as an import, and the classes that workers call each other with.
 */
import { RpcStub, RpcTarget, WorkerEntrypoint } from "../entrypoint.ts";
import { env } from "../env.ts";

export { RpcStub, RpcTarget, WorkerEntrypoint, env };
