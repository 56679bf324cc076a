//! Secrets in `node.db`, sealed with AES-256-GCM under a key of their tenant, which is derived
//! from the node key. The tenant, the app, the name and the version are authenticated with each
//! value, so that a row moved to another place does not open.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base::{ResourceName, Rng, Secret, TenantName};
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rusqlite::types::Type;
use rusqlite::{OptionalExtension as _, params};
use services::secret::check_value;
use services::{AppId, SecretEntry, SecretError, SecretInfo, SecretStore, StoreError};

use crate::DataDirError;
use crate::data_dir::Root;
use crate::database::{Database, Fate, Tx, WriteError};
use crate::node_key::NodeKey;

/// [`SecretStore`] in a data directory.
pub struct LocalSecrets {
    database: Arc<Database>,
    key: Arc<NodeKey>,
    generation: Arc<AtomicU64>,
    root: Arc<Root>,
}

/// A value as the disk has it.
struct Sealed {
    nonce: [u8; NONCE_LEN],
    bytes: Vec<u8>,
    version: u64,
}

impl LocalSecrets {
    /// The check value of the key that secrets are sealed with so far.
    pub(crate) fn sealed_with(database: &Database) -> Result<Option<[u8; 32]>, StoreError> {
        database.read(|c| c.query_row("SELECT check_value FROM node_key", [], |row| row.get(0)).optional())
    }

    pub(crate) fn open(key: NodeKey, database: Arc<Database>, root: Arc<Root>) -> Result<Self, DataDirError> {
        let generation = database
            .read(|c| c.query_row("SELECT coalesce(max(version), 0) FROM secret", [], |row| row.get::<_, i64>(0)))?;
        Ok(Self { database, key: Arc::new(key), generation: Arc::new(AtomicU64::new(generation as u64)), root })
    }

    async fn put_one(&self, app: &AppId, name: &ResourceName, value: Secret<Bytes>) -> Result<u64, SecretError> {
        check_value(&value)?;
        let (app, name, key) = (app.clone(), name.clone(), self.key.clone());
        let (clock, rng, generation) =
            (self.root.options.clock.clone(), self.root.options.rng.clone(), self.generation.clone());
        let write = move |tx: &mut Tx<'_>| -> Result<u64, WriteError<SecretError>> {
            let version = tx.next_sequence();
            let sealed = seal(&key, &*rng, &app, &name, version, value.expose());
            tx.prepare("INSERT INTO node_key SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM node_key)")?
                .execute([key.check_value()])?;
            tx.prepare(PUT)?.execute(params![
                app.tenant.as_str(),
                app.app.as_str(),
                name.as_str(),
                version as i64,
                clock.unix_ms() as i64,
                sealed.nonce,
                sealed.bytes,
            ])?;
            raise(tx, generation, version);
            Ok(version)
        };
        self.database.write(0, write).await
    }

    fn get_one(&self, app: &AppId, name: &ResourceName) -> Result<Option<SecretEntry>, SecretError> {
        let sealed = self.database.read(|c| {
            let mut statement = c.prepare_cached(GET)?;
            let place = params![app.tenant.as_str(), app.app.as_str(), name.as_str()];
            let read = |row: &rusqlite::Row<'_>| {
                Ok(Sealed { version: row.get::<_, i64>(0)? as u64, nonce: row.get(1)?, bytes: row.get(2)? })
            };
            statement.query_row(place, read).optional()
        })?;
        let Some(sealed) = sealed else { return Ok(None) };
        let version = sealed.version;
        let value = open(&self.key, app, name, sealed)
            .ok_or_else(|| SecretError::Sealed { app: app.clone(), name: name.clone() })?;
        Ok(Some(SecretEntry { value, version }))
    }

    fn list_all(&self, app: &AppId) -> Result<Vec<SecretInfo>, SecretError> {
        let infos = self.database.read(|c| {
            let mut statement = c.prepare_cached(LIST)?;
            let rows = statement.query_map(params![app.tenant.as_str(), app.app.as_str()], |row| {
                let name: String = row.get(0)?;
                let damaged = |error| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error));
                Ok(SecretInfo {
                    name: ResourceName::parse(&name).map_err(damaged)?,
                    version: row.get::<_, i64>(1)? as u64,
                    updated_ms: row.get::<_, i64>(2)? as u64,
                })
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        Ok(infos)
    }

    async fn delete_one(&self, app: &AppId, name: &ResourceName) -> Result<bool, SecretError> {
        let (app, name, generation) = (app.clone(), name.clone(), self.generation.clone());
        let write = move |tx: &mut Tx<'_>| -> Result<bool, WriteError<SecretError>> {
            let place = params![app.tenant.as_str(), app.app.as_str(), name.as_str()];
            let deleted =
                tx.prepare("DELETE FROM secret WHERE tenant = ?1 AND app = ?2 AND name = ?3")?.execute(place)? > 0;
            if deleted {
                // A number of its own, so that the versions that follow are larger.
                let raised = tx.next_sequence();
                raise(tx, generation, raised);
            }
            Ok(deleted)
        };
        self.database.write(0, write).await
    }
}

const PUT: &str = "
    INSERT INTO secret VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
    ON CONFLICT (tenant, app, name) DO UPDATE SET version = excluded.version, updated_ms = excluded.updated_ms,
        nonce = excluded.nonce, sealed = excluded.sealed";

const GET: &str = "SELECT version, nonce, sealed FROM secret WHERE tenant = ?1 AND app = ?2 AND name = ?3";

const LIST: &str = "SELECT name, version, updated_ms FROM secret WHERE tenant = ?1 AND app = ?2 ORDER BY name";

fn raise(tx: &mut Tx<'_>, generation: Arc<AtomicU64>, to: u64) {
    tx.after(move |fate| {
        if fate == Fate::Committed {
            generation.fetch_max(to, Ordering::SeqCst);
        }
    });
}

fn tenant_key(key: &NodeKey, tenant: &TenantName) -> LessSafeKey {
    let bytes = key.derive(&format!("secrets of {tenant}"));
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes.expose()).expect("the key has the length of AES-256"))
}

fn place(app: &AppId, name: &ResourceName, version: u64) -> Aad<String> {
    // Names have no slash, so no two places read the same.
    Aad::from(format!("{app}/{name}/{version}"))
}

fn seal(key: &NodeKey, rng: &dyn Rng, app: &AppId, name: &ResourceName, version: u64, value: &[u8]) -> Sealed {
    let mut nonce = [0; NONCE_LEN];
    rng.fill(&mut nonce);
    let mut bytes = value.to_vec();
    tenant_key(key, &app.tenant)
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), place(app, name, version), &mut bytes)
        .expect("a secret is far shorter than what AES-GCM can seal");
    Sealed { nonce, bytes, version }
}

fn open(key: &NodeKey, app: &AppId, name: &ResourceName, mut sealed: Sealed) -> Option<Secret<Bytes>> {
    let nonce = Nonce::assume_unique_for_key(sealed.nonce);
    let place = place(app, name, sealed.version);
    let opened = tenant_key(key, &app.tenant).open_in_place(nonce, place, &mut sealed.bytes).ok()?;
    Some(Secret::new(Bytes::copy_from_slice(opened)))
}

impl SecretStore for LocalSecrets {
    fn put<'a>(
        &'a self,
        app: &'a AppId,
        name: &'a ResourceName,
        value: Secret<Bytes>,
    ) -> BoxFuture<'a, Result<u64, SecretError>> {
        self.put_one(app, name, value).boxed()
    }

    fn get<'a>(
        &'a self,
        app: &'a AppId,
        name: &'a ResourceName,
    ) -> BoxFuture<'a, Result<Option<SecretEntry>, SecretError>> {
        async move { self.get_one(app, name) }.boxed()
    }

    fn list<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Result<Vec<SecretInfo>, SecretError>> {
        async move { self.list_all(app) }.boxed()
    }

    fn delete<'a>(&'a self, app: &'a AppId, name: &'a ResourceName) -> BoxFuture<'a, Result<bool, SecretError>> {
        self.delete_one(app, name).boxed()
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }
}
