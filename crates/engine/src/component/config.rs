//! `wasi:config/store`: the variables and secrets of a worker, by the names of their bindings.

use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, Lower};
use worker::{Env, Handle};

use super::host::Host;

/// The release candidate that toolchains and other hosts speak.
pub const VERSION: &str = "0.2.0-rc.1";

/// The interface's error. Nothing here fails: the values are at hand.
#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum Error {
    #[component(name = "upstream")]
    Upstream(String),
    #[component(name = "io")]
    Io(String),
}

type Pairs = Vec<(String, String)>;

pub fn define(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    let mut store = linker.instance(&format!("wasi:config/store@{VERSION}"))?;
    store.func_wrap(
        "get",
        |cx: StoreContextMut<'_, Host>, (key,): (String,)| -> wasmtime::Result<(Result<Option<String>, Error>,)> {
            let bindings = &cx.data().env().bindings;
            let found = bindings.iter().find(|(name, _)| name.as_str() == key);
            Ok((Ok(found.and_then(|(_, handle)| value(handle)).map(str::to_owned)),))
        },
    )?;
    store.func_wrap(
        "get-all",
        |cx: StoreContextMut<'_, Host>, (): ()| -> wasmtime::Result<(Result<Pairs, Error>,)> {
            let bindings = &cx.data().env().bindings;
            let all = bindings
                .iter()
                .filter_map(|(name, handle)| Some((name.as_str().to_owned(), value(handle)?.to_owned())));
            Ok((Ok(all.collect()),))
        },
    )?;
    Ok(())
}

fn value(handle: &Handle) -> Option<&str> {
    match handle {
        Handle::Secret(secret) => Some(secret.expose().as_str()),
        other => variable(other),
    }
}

fn variable(handle: &Handle) -> Option<&str> {
    match handle {
        Handle::Text(text) | Handle::Json(text) => Some(text),
        _ => None,
    }
}

/// What `wasi:cli/environment` shows: variables only. Programs print their environment, so a
/// secret has no place in it.
pub fn variables(env: &Env) -> Pairs {
    let pair =
        |(name, handle): &(base::BindingName, Handle)| Some((name.as_str().to_owned(), variable(handle)?.to_owned()));
    env.bindings.iter().filter_map(pair).collect()
}
