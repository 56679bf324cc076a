//! The reader of `wrangler.toml`, `wrangler.json` and `wrangler.jsonc`, as far as it maps.
//!
//! | wrangler | here |
//! |---|---|
//! | `name` | the app and its only worker |
//! | `main` | the worker's entry |
//! | `vars` | variables |
//! | `r2_buckets` | blob bindings; the bucket is the `bucket_name` in lower case, or the binding's name where there is none |
//! | `kv_namespaces` | KV bindings; the namespace is the id in lower case, or the binding's name where there is no id |
//! | `d1_databases` | SQL bindings; the database is `database_name` in lower case, or the binding's name; `migrations_dir` |
//! | `secrets.required` | secret bindings; `API_KEY` is the secret `api-key` |
//! | `durable_objects` | classes of the worker itself; others are an error |
//! | `migrations` | new classes need nothing here; a rename, a deletion or a transfer is an error |
//! | `services` | a binding to the worker itself, with `entrypoint` and `props`; others are an error |
//! | `assets` | files, served before the worker unless `run_worker_first` says otherwise |
//! | `route`, `routes` | routes; a custom domain is every path of its host; the default host, like workers.dev, gets every path |
//! | `define`, `alias`, `rules` | how the script is built; types of rules are `Text`, `Data` and `CompiledWasm` |
//! | `limits` | `cpu_ms` and `subrequests` |
//! | `env.NAME` | overlays by wrangler's rules: bindings and variables are not inherited, and the app is called `NAME-ENV` |
//!
//! What changes nothing here is passed over. What would change behaviour and is not supported is an
//! error by name; so is what nobody knows. A setting that is empty or off says nothing.

use crate::check::to_label;
use crate::raw::{BindingKind, RawBinding, RawManifest, RawWorker, Reader, Spanned};
use crate::report::{Problems, code, suggest};
use crate::tree::{Entry, Node, Table, Value};

mod build;
mod keys;
mod routes;

use keys::{Key, Treatment};

/// An environment over the base: what it names replaces as a whole, and what is not inherited is
/// dropped.
pub(crate) fn overlay(base: &Table, over: &Table, env: &str) -> Table {
    let mut merged = base.clone();
    merged.entries.retain(|e| !keys::NOT_INHERITED.contains(&e.key.as_str()));
    if let Some(Entry { node: Node { value: Value::String(name), .. }, .. }) =
        merged.entries.iter_mut().find(|e| e.key == "name")
    {
        *name = format!("{name}-{env}");
    }
    // Routes may be written in two ways, of which the overlay's alone counts.
    if over.get("route").is_some() || over.get("routes").is_some() {
        merged.entries.retain(|e| e.key != "route" && e.key != "routes");
    }
    for entry in &over.entries {
        merged.set(entry.clone());
    }
    merged
}

/// Reads the root table, its environment already over it.
pub(crate) fn read(root: &Table, problems: &mut Problems) -> RawManifest {
    let mut reader = Reader { problems };
    check_keys(&mut reader, root, keys::ROOT, "the file");
    let name = reader.string(root, "name");
    if root.get("name").is_none() {
        reader.problems.add(code::MISSING_FIELD, &(0..0), "the file has no `name`").help =
            Some("give the app a name, such as \"my-app\"".to_owned());
    }
    let entry = reader.string(root, "main");
    let files = routes::files(&mut reader, root);
    if root.get("main").is_none() && root.get("assets").is_none() {
        reader.problems.add(code::NO_WORKER, &(0..0), "the file has neither `main` nor `assets`").help =
            Some("name the entry file: main = \"src/index.ts\"".to_owned());
    }
    let worker = root.get("main").is_some().then(|| {
        let unnamed = || Spanned::new("main".to_owned(), 0..0);
        let mut worker = RawWorker::new(name.clone().unwrap_or_else(unnamed));
        worker.entry = entry;
        worker.vars = reader.vars(root);
        worker.limits = limits(&mut reader, root);
        worker.build = build::settings(&mut reader, root);
        bindings(&mut reader, root, &mut worker);
        if let Some(files) = &files {
            let bound = files.binding.clone();
            worker
                .bindings
                .extend(bound.map(|name| RawBinding::new(name, BindingKind::Assets, files.directory.clone())));
        }
        worker
    });
    let routes = routes::routes(&mut reader, root, worker.as_ref().map(|w| &w.name), files.as_ref());
    RawManifest { name, workers: worker.into_iter().collect(), routes, ..RawManifest::default() }
}

/// Reports keys that are not supported, and keys that nobody knows.
fn check_keys(reader: &mut Reader<'_>, table: &Table, known: &[Key], place: &str) {
    for entry in &table.entries {
        let key = &entry.key;
        match known.iter().find(|k| k.name == *key) {
            Some(Key { treatment: Treatment::Read | Treatment::Pass, .. }) => {}
            Some(Key { treatment: Treatment::Refuse(_), .. }) if entry.node.value.is_empty() => {}
            Some(Key { treatment: Treatment::Refuse(what), .. }) => {
                let whole = if std::ptr::eq(known, keys::ROOT) { "" } else { &format!(" of {place}") };
                let message = format!("`{key}`{whole} is not supported by this version yet ({what})");
                let problem = reader.problems.add(code::NOT_SUPPORTED, &entry.key_span, message);
                problem.label = Some("not supported yet".to_owned());
            }
            None => {
                let message = format!("unknown field `{key}` in {place}");
                let names = known.iter().map(|k| k.name);
                let help = match crate::report::nearest(key, names.clone()) {
                    // The root knows too many keys to list them.
                    None if known.len() > 20 => None,
                    _ => suggest(key, names, "the fields here are"),
                };
                let problem = reader.problems.add(code::UNKNOWN_FIELD, &entry.key_span, message);
                problem.label = Some("unknown field".to_owned());
                problem.help = help;
            }
        }
    }
}

fn limits(reader: &mut Reader<'_>, root: &Table) -> Vec<crate::raw::RawLimit> {
    if let Some(Entry { node: Node { value: Value::Table(table), .. }, .. }) = root.get("limits") {
        check_keys(reader, table, keys::LIMITS, "limits");
    }
    reader.limits(root, "limits").into_iter().filter(|l| keys::LIMITS.iter().any(|k| k.name == l.name.value)).collect()
}

fn bindings(reader: &mut Reader<'_>, root: &Table, worker: &mut RawWorker) {
    for item in reader.array(root, "kv_namespaces").unwrap_or_default() {
        worker.bindings.extend(kv(reader, item));
    }
    for item in reader.array(root, "r2_buckets").unwrap_or_default() {
        worker.bindings.extend(r2(reader, item));
    }
    for item in reader.array(root, "d1_databases").unwrap_or_default() {
        worker.bindings.extend(d1(reader, item));
    }
    for item in reader.array(root, "services").unwrap_or_default() {
        worker.bindings.extend(service(reader, item, &worker.name));
    }
    objects(reader, root, worker);
    let Some(secrets) = reader.table_if_any(root, "secrets") else { return };
    check_keys(reader, secrets, keys::SECRETS, "secrets");
    for name in reader.strings(secrets, "required").unwrap_or_default() {
        let target = Spanned::new(to_label(&name.value), name.span.clone());
        worker.bindings.push(RawBinding::new(name, BindingKind::Secret, target));
    }
}

fn objects(reader: &mut Reader<'_>, root: &Table, worker: &mut RawWorker) {
    for item in reader.array(root, "migrations").unwrap_or_default() {
        if let Some(table) = reader.table_of("an item of migrations", item) {
            check_keys(reader, table, keys::MIGRATION, "migrations");
        }
    }
    let Some(objects) = reader.table_if_any(root, "durable_objects") else { return };
    check_keys(reader, objects, keys::OBJECTS, "durable_objects");
    for item in reader.array(objects, "bindings").unwrap_or_default() {
        worker.bindings.extend(object(reader, item, &worker.name));
    }
}

fn object(reader: &mut Reader<'_>, item: &Node, own: &Spanned<String>) -> Option<RawBinding> {
    let table = reader.table_of("an item of durable_objects.bindings", item)?;
    check_keys(reader, table, keys::OBJECT, "durable_objects.bindings");
    for key in ["name", "class_name"] {
        if table.get(key).is_none() {
            let message = format!("an item of durable_objects.bindings has no `{key}`");
            reader.problems.add(code::MISSING_FIELD, &item.span, message);
            return None;
        }
    }
    let (name, class) = (reader.string(table, "name")?, reader.string(table, "class_name")?);
    if let Some(script) = reader.string(table, "script_name").filter(|script| script.value != own.value) {
        let message = format!("the class is another project's, `{}`, which this version can't bind yet", script.value);
        reader.problems.add(code::NOT_SUPPORTED, &script.span, message).help = Some(
            "put both workers into one selvedge.toml, and bind by name: ROOM = { object = …, worker = … }".to_owned(),
        );
        return None;
    }
    Some(RawBinding::new(name, BindingKind::Object, class))
}

/// An item of a list of bindings: its table and its name.
fn named_item<'t>(
    reader: &mut Reader<'_>,
    item: &'t Node,
    list: &str,
    known: &[Key],
) -> Option<(&'t Table, Spanned<String>)> {
    let table = reader.table_of(&format!("an item of {list}"), item)?;
    check_keys(reader, table, known, list);
    if table.get("binding").is_none() {
        let message = format!("an item of {list} has no `binding`");
        reader.problems.add(code::MISSING_FIELD, &item.span, message).help =
            Some("name it as the code does: binding = \"NAME\"".to_owned());
        return None;
    }
    Some((table, reader.string(table, "binding")?))
}

fn kv(reader: &mut Reader<'_>, item: &Node) -> Option<RawBinding> {
    let (table, name) = named_item(reader, item, "kv_namespaces", keys::KV)?;
    let id = reader.string(table, "id");
    if id.is_none() && table.get("id").is_some() {
        return None;
    }
    // An id that is made of nothing a name may hold says as little as none.
    let given = id.map(|id| Spanned::new(to_label(&id.value), id.span)).filter(|id| !id.value.is_empty());
    let target = given.unwrap_or_else(|| Spanned::new(to_label(&name.value), name.span.clone()));
    Some(RawBinding::new(name, BindingKind::Kv, target))
}

fn r2(reader: &mut Reader<'_>, item: &Node) -> Option<RawBinding> {
    let (table, name) = named_item(reader, item, "r2_buckets", keys::R2)?;
    let bucket = reader.string(table, "bucket_name");
    if bucket.is_none() && table.get("bucket_name").is_some() {
        return None;
    }
    let given = bucket.map(|b| Spanned::new(to_label(&b.value), b.span)).filter(|b| !b.value.is_empty());
    let target = given.unwrap_or_else(|| Spanned::new(to_label(&name.value), name.span.clone()));
    Some(RawBinding::new(name, BindingKind::Blob, target))
}

fn d1(reader: &mut Reader<'_>, item: &Node) -> Option<RawBinding> {
    let (table, name) = named_item(reader, item, "d1_databases", keys::D1)?;
    let given = ["database_name", "database_id"].into_iter().find_map(|key| {
        let text = reader.string(table, key)?;
        Some(Spanned::new(to_label(&text.value), text.span)).filter(|label| !label.value.is_empty())
    });
    let target = given.unwrap_or_else(|| Spanned::new(to_label(&name.value), name.span.clone()));
    let mut binding = RawBinding::new(name, BindingKind::Sql, target);
    binding.migrations = reader.string(table, "migrations_dir");
    Some(binding)
}

fn service(reader: &mut Reader<'_>, item: &Node, own: &Spanned<String>) -> Option<RawBinding> {
    let (table, name) = named_item(reader, item, "services", keys::SERVICE)?;
    if table.get("service").is_none() {
        reader.problems.add(code::MISSING_FIELD, &item.span, "an item of services has no `service`");
        return None;
    }
    let target = reader.string(table, "service")?;
    if target.value != own.value {
        let message = format!("the service `{}` is another project, which this version can't bind yet", target.value);
        reader.problems.add(code::NOT_SUPPORTED, &target.span, message).help = Some(
            "put both workers into one selvedge.toml, and bind by name: [workers.NAME.bindings] API = { worker = … }"
                .to_owned(),
        );
        return None;
    }
    let mut binding = RawBinding::new(name, BindingKind::Worker, target);
    binding.entrypoint = reader.string(table, "entrypoint");
    binding.props = table.get("props").map(|props| props.node.clone());
    Some(binding)
}
