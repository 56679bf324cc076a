/**
 * `cloudflare:workers`: the environment as an import, and the classes that workers call each other with.
 */
import { RpcTarget, WorkerEntrypoint } from "../entrypoint.ts";
import { env } from "../env.ts";
import { RpcStub } from "../features/rpc/stub.ts";

export { RpcStub, RpcTarget, WorkerEntrypoint, env };
