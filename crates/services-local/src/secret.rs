//! Secrets in `node.db`, sealed with AES-256-GCM under a key of their tenant, which is derived
//! from the node key. The tenant, the app, the name, the environment and the version are
//! authenticated with each value, so that a row moved to another place does not open.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base::{Clock, ResourceName, Rng, Secret, TenantName};
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rusqlite::types::Type;
use rusqlite::{OptionalExtension as _, params};
use services::secret::{SECRET_VERSIONS_KEPT, check_value};
use services::{
    AppId, PreviousSecret, SecretEntry, SecretError, SecretInfo, SecretName, SecretStore, SecretVersionInfo,
    StoreError, ValueKind,
};

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
        let generation = database.read(|c| {
            c.query_row("SELECT coalesce(max(version), 0) FROM secret_version", [], |row| row.get::<_, i64>(0))
        })?;
        Ok(Self { database, key: Arc::new(key), generation: Arc::new(AtomicU64::new(generation as u64)), root })
    }

    fn sealing(&self, app: &AppId, name: &SecretName) -> Sealing {
        let options = &self.root.options;
        let (clock, rng) = (options.clock.clone(), options.rng.clone());
        let (key, generation) = (self.key.clone(), self.generation.clone());
        Sealing { key, clock, rng, generation, app: app.clone(), name: name.clone() }
    }

    async fn put_one(
        &self,
        app: &AppId,
        name: &SecretName,
        value: Secret<Bytes>,
        overlap_ms: u64,
    ) -> Result<u64, SecretError> {
        check_value(&value)?;
        let sealing = self.sealing(app, name);
        let write = move |tx: &mut Tx<'_>| -> Result<u64, WriteError<SecretError>> {
            Ok(sealing.set(tx, value.expose(), overlap_ms)?)
        };
        self.database.write(0, write).await
    }

    async fn roll_back_one(&self, app: &AppId, name: &SecretName, version: u64) -> Result<u64, SecretError> {
        let sealing = self.sealing(app, name);
        let write = move |tx: &mut Tx<'_>| -> Result<u64, WriteError<SecretError>> {
            let refused = |error| Err(WriteError::Refused(error));
            let Some(sealed) = sealing.find(tx, version)? else {
                return refused(SecretError::UnknownVersion { name: sealing.name, version });
            };
            let Some(value) = open(&sealing.key, &sealing.app, &sealing.name, sealed) else {
                return refused(SecretError::Sealed { app: sealing.app, name: sealing.name });
            };
            Ok(sealing.set(tx, value.expose(), 0)?)
        };
        self.database.write(0, write).await
    }

    fn get_one(&self, app: &AppId, name: &SecretName) -> Result<Option<SecretEntry>, SecretError> {
        let now_ms = self.root.options.clock.unix_ms();
        let rows = self.database.read(|c| {
            let mut statement = c.prepare_cached(GET)?;
            let rows = statement.query_map(place_of(app, name), |row| {
                let sealed = Sealed { version: row.get::<_, i64>(0)? as u64, nonce: row.get(1)?, bytes: row.get(2)? };
                Ok((sealed, row.get::<_, Option<i64>>(3)?.map(|until| until as u64)))
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        let mut rows = rows.into_iter();
        let Some((current, _)) = rows.next() else { return Ok(None) };
        let unseal = |sealed: Sealed| -> Result<(Secret<Bytes>, u64), SecretError> {
            let version = sealed.version;
            let value = open(&self.key, app, name, sealed);
            Ok((value.ok_or_else(|| SecretError::Sealed { app: app.clone(), name: name.clone() })?, version))
        };
        let (value, version) = unseal(current)?;
        let previous = rows.find_map(|(sealed, until)| Some((sealed, until.filter(|&until| until > now_ms)?)));
        let previous = match previous {
            Some((sealed, until_ms)) => {
                let (value, version) = unseal(sealed)?;
                Some(PreviousSecret { value, version, until_ms })
            }
            None => None,
        };
        Ok(Some(SecretEntry { value, version, previous }))
    }

    fn list_all(&self, app: &AppId) -> Result<Vec<SecretInfo>, SecretError> {
        let mut infos = self.database.read(|c| {
            let mut statement = c.prepare_cached(LIST)?;
            let rows = statement.query_map(params![app.tenant.as_str(), app.app.as_str()], |row| {
                let (name, env): (String, String) = (row.get(0)?, row.get(1)?);
                let damaged = |error| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error));
                let (kind, name) = match name.strip_prefix(CONFIG) {
                    Some(name) => (ValueKind::Config, name.to_owned()),
                    None => (ValueKind::Secret, name),
                };
                let env = Some(env).filter(|env| !env.is_empty()).map(|env| ResourceName::parse(&env)).transpose();
                Ok(SecretInfo {
                    name: SecretName {
                        kind,
                        name: ResourceName::parse(&name).map_err(damaged)?,
                        env: env.map_err(damaged)?,
                    },
                    version: row.get::<_, i64>(2)? as u64,
                    updated_ms: row.get::<_, i64>(3)? as u64,
                })
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        infos.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(infos)
    }

    fn versions_of(&self, app: &AppId, name: &SecretName) -> Result<Vec<SecretVersionInfo>, SecretError> {
        let now_ms = self.root.options.clock.unix_ms();
        let infos = self.database.read(|c| {
            let mut statement = c.prepare_cached(VERSIONS)?;
            let rows = statement.query_map(place_of(app, name), |row| {
                let until = row.get::<_, Option<i64>>(2)?.map(|until| until as u64);
                Ok(SecretVersionInfo {
                    version: row.get::<_, i64>(0)? as u64,
                    updated_ms: row.get::<_, i64>(1)? as u64,
                    previous_until_ms: until.filter(|&until| until > now_ms),
                })
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        Ok(infos)
    }

    async fn delete_one(&self, app: &AppId, name: &SecretName) -> Result<bool, SecretError> {
        let (app, name, generation) = (app.clone(), name.clone(), self.generation.clone());
        let write = move |tx: &mut Tx<'_>| -> Result<bool, WriteError<SecretError>> {
            let delete = "DELETE FROM secret_version WHERE tenant = ?1 AND app = ?2 AND name = ?3 AND env = ?4";
            let deleted = tx.prepare(delete)?.execute(place_of(&app, &name))? > 0;
            if deleted {
                // A number of its own, so that the versions that follow are larger.
                let raised = tx.next_sequence();
                raise(tx, generation, raised);
            }
            Ok(deleted)
        };
        self.database.write(0, write).await
    }

    fn next_end(&self) -> Result<Option<u64>, SecretError> {
        let now_ms = self.root.options.clock.unix_ms() as i64;
        let end = "SELECT min(previous_until_ms) FROM secret_version WHERE previous_until_ms > ?1";
        let end = self.database.read(|c| c.query_row(end, [now_ms], |row| row.get::<_, Option<i64>>(0)))?;
        Ok(end.map(|end| end as u64))
    }
}

/// What a change of a secret takes to the writer's thread.
struct Sealing {
    key: Arc<NodeKey>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    generation: Arc<AtomicU64>,
    app: AppId,
    name: SecretName,
}

impl Sealing {
    /// Makes a version, ends the overlap before, and forgets what is too old.
    fn set(&self, tx: &mut Tx<'_>, value: &[u8], overlap_ms: u64) -> rusqlite::Result<u64> {
        let version = tx.next_sequence();
        let now_ms = self.clock.unix_ms();
        let sealed = seal(&self.key, &*self.rng, &self.app, &self.name, version, value);
        tx.prepare("INSERT INTO node_key SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM node_key)")?
            .execute([self.key.check_value()])?;
        let [tenant, app, name, env] = place_of(&self.app, &self.name);
        tx.prepare(END_OVERLAP)?.execute([&tenant, &app, &name, &env])?;
        if overlap_ms > 0 {
            let until = i64::try_from(now_ms.saturating_add(overlap_ms)).unwrap_or(i64::MAX);
            tx.prepare(BEGIN_OVERLAP)?.execute(params![tenant, app, name, env, until])?;
        }
        let (nonce, bytes) = (sealed.nonce, sealed.bytes);
        tx.prepare(PUT)?.execute(params![tenant, app, name, env, version as i64, now_ms as i64, nonce, bytes])?;
        tx.prepare(FORGET)?.execute(params![tenant, app, name, env, SECRET_VERSIONS_KEPT as i64])?;
        raise(tx, self.generation.clone(), version);
        Ok(version)
    }

    fn find(&self, tx: &Tx<'_>, version: u64) -> rusqlite::Result<Option<Sealed>> {
        let [tenant, app, name, env] = place_of(&self.app, &self.name);
        let mut statement = tx.prepare(FIND)?;
        let found = statement.query_row(params![tenant, app, name, env, version as i64], |row| {
            Ok(Sealed { version, nonce: row.get(0)?, bytes: row.get(1)? })
        });
        found.optional()
    }
}

/// The first four parameters of each statement about one secret.
fn place_of(app: &AppId, name: &SecretName) -> [String; 4] {
    let env = name.env.as_ref().map_or("", ResourceName::as_str);
    let kind = if name.kind == ValueKind::Config { CONFIG } else { "" };
    [app.tenant.to_string(), app.app.to_string(), format!("{kind}{}", name.name), env.to_owned()]
}

/// Before the names of configuration values. No name has a slash.
const CONFIG: &str = "config/";

const PUT: &str = "INSERT INTO secret_version VALUES (?1, ?2, ?3, ?4, ?5, ?6, NULL, ?7, ?8)";

const END_OVERLAP: &str = "
    UPDATE secret_version SET previous_until_ms = NULL
    WHERE tenant = ?1 AND app = ?2 AND name = ?3 AND env = ?4 AND previous_until_ms IS NOT NULL";

const BEGIN_OVERLAP: &str = "
    UPDATE secret_version SET previous_until_ms = ?5
    WHERE tenant = ?1 AND app = ?2 AND name = ?3 AND env = ?4 AND version = (
        SELECT max(version) FROM secret_version WHERE tenant = ?1 AND app = ?2 AND name = ?3 AND env = ?4)";

const FORGET: &str = "
    DELETE FROM secret_version
    WHERE tenant = ?1 AND app = ?2 AND name = ?3 AND env = ?4 AND version <= (
        SELECT version FROM secret_version WHERE tenant = ?1 AND app = ?2 AND name = ?3 AND env = ?4
        ORDER BY version DESC LIMIT 1 OFFSET ?5)";

const FIND: &str = "
    SELECT nonce, sealed FROM secret_version
    WHERE tenant = ?1 AND app = ?2 AND name = ?3 AND env = ?4 AND version = ?5";

const GET: &str = "
    SELECT version, nonce, sealed, previous_until_ms FROM secret_version
    WHERE tenant = ?1 AND app = ?2 AND name = ?3 AND env = ?4 ORDER BY version DESC";

const VERSIONS: &str = "
    SELECT version, updated_ms, previous_until_ms FROM secret_version
    WHERE tenant = ?1 AND app = ?2 AND name = ?3 AND env = ?4 ORDER BY version DESC";

// With max(version) alone, the other columns are those of its row.
const LIST: &str = "
    SELECT name, env, max(version), updated_ms FROM secret_version
    WHERE tenant = ?1 AND app = ?2 GROUP BY name, env ORDER BY name, env";

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

fn place(app: &AppId, name: &SecretName, version: u64) -> Aad<String> {
    // Names have no slash, so no two places read the same.
    Aad::from(format!("{app}/{name}/{version}"))
}

fn seal(key: &NodeKey, rng: &dyn Rng, app: &AppId, name: &SecretName, version: u64, value: &[u8]) -> Sealed {
    let mut nonce = [0; NONCE_LEN];
    rng.fill(&mut nonce);
    let mut bytes = value.to_vec();
    tenant_key(key, &app.tenant)
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), place(app, name, version), &mut bytes)
        .expect("a secret is far shorter than what AES-GCM can seal");
    Sealed { nonce, bytes, version }
}

fn open(key: &NodeKey, app: &AppId, name: &SecretName, mut sealed: Sealed) -> Option<Secret<Bytes>> {
    let nonce = Nonce::assume_unique_for_key(sealed.nonce);
    let place = place(app, name, sealed.version);
    let opened = tenant_key(key, &app.tenant).open_in_place(nonce, place, &mut sealed.bytes).ok()?;
    Some(Secret::new(Bytes::copy_from_slice(opened)))
}

impl SecretStore for LocalSecrets {
    fn put<'a>(
        &'a self,
        app: &'a AppId,
        name: &'a SecretName,
        value: Secret<Bytes>,
        overlap_ms: u64,
    ) -> BoxFuture<'a, Result<u64, SecretError>> {
        self.put_one(app, name, value, overlap_ms).boxed()
    }

    fn get<'a>(
        &'a self,
        app: &'a AppId,
        name: &'a SecretName,
    ) -> BoxFuture<'a, Result<Option<SecretEntry>, SecretError>> {
        async move { self.get_one(app, name) }.boxed()
    }

    fn list<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Result<Vec<SecretInfo>, SecretError>> {
        async move { self.list_all(app) }.boxed()
    }

    fn versions<'a>(
        &'a self,
        app: &'a AppId,
        name: &'a SecretName,
    ) -> BoxFuture<'a, Result<Vec<SecretVersionInfo>, SecretError>> {
        async move { self.versions_of(app, name) }.boxed()
    }

    fn roll_back<'a>(
        &'a self,
        app: &'a AppId,
        name: &'a SecretName,
        version: u64,
    ) -> BoxFuture<'a, Result<u64, SecretError>> {
        self.roll_back_one(app, name, version).boxed()
    }

    fn delete<'a>(&'a self, app: &'a AppId, name: &'a SecretName) -> BoxFuture<'a, Result<bool, SecretError>> {
        self.delete_one(app, name).boxed()
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    fn overlap_end(&self) -> BoxFuture<'_, Result<Option<u64>, SecretError>> {
        async move { self.next_end() }.boxed()
    }
}
