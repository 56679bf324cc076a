/**
 * `cloudflare:workers`: the environment as an import, and the classes that workers call each other with.
 */
import { DurableObject, RpcStub, RpcTarget, WorkerEntrypoint } from "../entrypoint.ts";
import { env } from "../env.ts";

export { DurableObject, RpcStub, RpcTarget, WorkerEntrypoint, env };
