# The configuration of every script case. `STORE` is KV over a folder of files.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "web", worker = .web),
    # Workers may fetch from this machine, where the origin of the `proxy` case is.
    (name = "internet", network = (allow = ["public", "private"])),
    (name = "store", disk = (path = "store", writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:8080", http = (), service = "web")],
);

const web :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed "worker.js")],
  compatibilityDate = "2026-01-01",
  bindings = [(name = "STORE", kvNamespace = "store")],
);
