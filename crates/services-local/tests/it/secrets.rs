use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use base::{ResourceName, Secret};
use services::{SecretName, SecretStore as _};
use services_local::{DataDir, DataDirOptions};

use crate::workload::namespace;
use crate::{Place, block_on};

const VALUE: &str = "correct horse battery staple";

fn name() -> SecretName {
    SecretName::new(ResourceName::parse("api-key").expect("a name"))
}

fn put(data: &DataDir) -> u64 {
    let secrets = data.secrets().expect("secrets");
    block_on(secrets.put(&namespace().app_id(), &name(), Secret::new(VALUE.into()), 0)).expect("put")
}

fn refuse(data: &DataDir, key: &Path) -> (String, &'static str) {
    let error = data.secrets().map(drop).expect_err("the key is refused");
    (error.to_string().replace(&key.display().to_string(), "KEY"), error.code().name)
}

#[test]
fn no_file_holds_a_secret_in_the_clear() {
    let place = Place::new();
    let data = place.open();
    put(&data);
    let mut files = vec![place.path().to_owned()];
    let mut read = 0;
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(fs::read_dir(&path).expect("a directory").map(|entry| entry.expect("an entry").path()));
            continue;
        }
        let bytes = fs::read(&path).expect("a file");
        read += bytes.len();
        assert!(!bytes.windows(12).any(|window| VALUE.as_bytes().starts_with(window)), "{}", path.display());
    }
    assert!(read > 4096, "the database was read");
}

#[test]
fn a_secret_survives_a_restart_and_rises_in_version() {
    let place = Place::new();
    let first = put(&place.open());
    let data = place.open();
    let entry = block_on(data.secrets().expect("secrets").get(&namespace().app_id(), &name())).expect("get");
    let entry = entry.expect("it is set");
    assert_eq!((entry.value.expose().as_ref(), entry.version), (VALUE.as_bytes(), first));
    assert!(put(&data) > first);
}

#[test]
fn a_key_is_private_and_made_once() {
    let place = Place::new();
    let key = place.path().join("node.key");
    let data = place.open();
    assert!(!key.exists(), "no key before there is a use for it");
    put(&data);
    drop(data);
    let text = fs::read_to_string(&key).expect("the key");
    assert_eq!((text.len(), fs::metadata(&key).expect("the key").permissions().mode() & 0o777), (65, 0o600));

    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("chmod");
    let exposed = ("others may read the node key KEY; make it private: chmod 600 KEY".into(), "secret_sealed");
    assert_eq!(refuse(&place.open(), &key), exposed);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("chmod");

    fs::write(&key, "not a key").expect("write");
    let damaged = ("KEY is no node key; a node key is one line of 64 hexadecimal digits".into(), "secret_sealed");
    assert_eq!(refuse(&place.open(), &key), damaged);

    fs::write(&key, "00".repeat(32)).expect("write");
    let (message, _) = refuse(&place.open(), &key);
    assert!(message.starts_with("KEY is not the node key that the secrets in this data directory were sealed with"));

    fs::remove_file(&key).expect("remove");
    let (message, _) = refuse(&place.open(), &key);
    assert!(message.starts_with("the data directory holds secrets, and the node key KEY that opens them is missing"));
    assert!(!key.exists(), "no second key is made beside sealed secrets");

    fs::write(&key, text).expect("write");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("chmod");
    put(&place.open());
}

#[test]
fn a_key_inside_the_data_directory_is_refused() {
    let place = Place::new();
    let key = place.data().canonicalize().unwrap_or(place.data()).join("keys/node.key");
    let data = DataDir::open(place.data(), DataDirOptions::new(&key)).expect("opens");
    let (message, _) = refuse(&data, &key);
    assert!(message.starts_with("the node key KEY lies inside the data directory"), "{message}");
    assert!(message.contains("beside it") && !message.contains("--node-key"), "{message}");
    assert!(!key.exists());
}

#[test]
fn a_sealed_value_opens_only_in_its_place() {
    let place = Place::new();
    put(&place.open());
    let database = rusqlite::Connection::open(place.data().join("node.db")).expect("open");
    database.execute("UPDATE secret_version SET name = 'other'", []).expect("move");
    drop(database);
    let secrets = place.open().secrets().expect("secrets");
    let other = SecretName::new(ResourceName::parse("other").expect("a name"));
    let error = block_on(secrets.get(&namespace().app_id(), &other)).expect_err("moved");
    assert_eq!(error.code().name, "secret_sealed");
    assert!(!error.to_string().contains(VALUE));
}
