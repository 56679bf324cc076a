//! Access keys in a database of their own, `blob/keys.db`, their secrets sealed with AES-256-GCM
//! under a key that is derived from the node key. The id, the app and what the key grants are
//! authenticated with the secret, so that a row that was changed does not open.

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base::{AppName, Secret, TenantName};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rusqlite::types::Type;
use rusqlite::{OptionalExtension as _, Row, params};
use services::access_key::{
    AccessKey, AccessKeyError, AccessKeyPair, AccessKeyStore, Grant, ID_RANDOM_BYTES, SECRET_RANDOM_BYTES, id_of,
    secret_of,
};
use services::{AppId, StoreError};

use crate::DataDirError;
use crate::data_dir::Root;
use crate::database::{Database, Kind, Tx, WriteError};
use crate::node_key::NodeKey;

const KIND: Kind = Kind { application_id: 0x534c_5641, migrations: &[SCHEMA_1] };

const SCHEMA_1: &str = "
    CREATE TABLE access_key (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        tenant TEXT NOT NULL,
        app TEXT NOT NULL,
        grant_json TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        nonce BLOB NOT NULL,
        sealed BLOB NOT NULL
    ) STRICT;
    CREATE INDEX access_key_app ON access_key (tenant, app);
";

/// [`AccessKeyStore`] in a data directory.
pub struct LocalAccessKeys {
    database: Arc<Database>,
    node_key: NodeKey,
    /// Where it stands which node key is in use.
    node: Arc<Database>,
    root: Arc<Root>,
}

/// A key as the disk has it.
struct Stored {
    key: AccessKey,
    nonce: [u8; NONCE_LEN],
    sealed: Vec<u8>,
}

const COLUMNS: &str = "id, tenant, app, grant_json, created_ms, nonce, sealed";

fn read(row: &Row<'_>) -> rusqlite::Result<Stored> {
    fn damaged<E: std::error::Error + Send + Sync + 'static>(error: E) -> rusqlite::Error {
        rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error))
    }
    let tenant = TenantName::parse(row.get_ref(1)?.as_str()?).map_err(damaged)?;
    let app = AppName::parse(row.get_ref(2)?.as_str()?).map_err(damaged)?;
    let key = AccessKey {
        id: row.get(0)?,
        app: AppId::new(tenant, app),
        grant: serde_json::from_str(row.get_ref(3)?.as_str()?).map_err(damaged)?,
        created_ms: row.get::<_, i64>(4)? as u64,
    };
    Ok(Stored { key, nonce: row.get(5)?, sealed: row.get(6)? })
}

impl LocalAccessKeys {
    pub(crate) fn open(node_key: NodeKey, node: Arc<Database>, root: Arc<Root>) -> Result<Self, DataDirError> {
        let dir = root.create_dir(&["blob"]).map_err(|error| DataDirError::from_io(&root.path, error))?;
        let database = Database::open(&dir.join("keys.db"), KIND, root.options.clock.clone(), root.writers())?;
        Ok(Self { database, node_key, node, root })
    }

    fn sealing(&self) -> LessSafeKey {
        let bytes = self.node_key.derive("access keys");
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes.expose()).expect("the key has the length of AES-256"))
    }

    async fn create_one(&self, app: &AppId, grant: Grant) -> Result<AccessKeyPair, AccessKeyError> {
        let options = &self.root.options;
        let (mut id, mut random, mut nonce) = ([0; ID_RANDOM_BYTES], [0; SECRET_RANDOM_BYTES], [0; NONCE_LEN]);
        options.rng.fill(&mut id);
        options.rng.fill(&mut random);
        options.rng.fill(&mut nonce);
        let secret = secret_of(random);
        let key = AccessKey { id: id_of(id), app: app.clone(), grant, created_ms: options.clock.unix_ms() };
        let mut sealed = secret.expose().as_bytes().to_vec();
        self.sealing()
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), place(&key), &mut sealed)
            .expect("a secret is far shorter than what AES-GCM can seal");
        self.note_node_key().await?;
        let (row, keys_max) = (key.clone(), options.limits.access_keys as usize);
        let write = move |tx: &mut Tx<'_>| -> Result<(), WriteError<AccessKeyError>> {
            let (tenant, app) = (row.app.tenant.as_str(), row.app.app.as_str());
            let sql = "SELECT count(*) FROM access_key WHERE tenant = ?1 AND app = ?2";
            let count: i64 = tx.prepare(sql)?.query_row([tenant, app], |row| row.get(0))?;
            if count as usize >= keys_max {
                return Err(WriteError::Refused(AccessKeyError::TooMany { keys_max }));
            }
            let number = tx.next_sequence() as i64;
            let (grant, created_ms) = (grant_json(&row.grant), row.created_ms as i64);
            tx.prepare("INSERT INTO access_key VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
                .execute(params![number, row.id, tenant, app, grant, created_ms, nonce, sealed])?;
            Ok(())
        };
        self.database.write(0, write).await?;
        Ok((key, secret))
    }

    /// Before anything is sealed, it stands in the directory which node key opens it.
    async fn note_node_key(&self) -> Result<(), StoreError> {
        let check_value = self.node_key.check_value();
        let note = move |tx: &mut Tx<'_>| -> Result<(), WriteError<StoreError>> {
            let sql = "INSERT INTO node_key SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM node_key)";
            tx.prepare(sql)?.execute([check_value])?;
            Ok(())
        };
        self.node.write(0, note).await
    }

    fn find_one(&self, id: &str) -> Result<Option<AccessKeyPair>, AccessKeyError> {
        let stored = self.database.read(|c| {
            let sql = format!("SELECT {COLUMNS} FROM access_key WHERE id = ?1");
            c.prepare_cached(&sql)?.query_row([id], read).optional()
        })?;
        let Some(Stored { key, nonce, mut sealed }) = stored else { return Ok(None) };
        let nonce = Nonce::assume_unique_for_key(nonce);
        let opened = self.sealing().open_in_place(nonce, place(&key), &mut sealed).ok();
        let secret = opened.and_then(|bytes| String::from_utf8(bytes.to_vec()).ok());
        let secret = secret.ok_or_else(|| AccessKeyError::Sealed { id: id.to_owned() })?;
        Ok(Some((key, Secret::new(secret))))
    }
}

fn grant_json(grant: &Grant) -> String {
    serde_json::to_string(grant).expect("a grant has no shape that JSON lacks")
}

fn place(key: &AccessKey) -> Aad<String> {
    // Names have no slash, so no two places read the same.
    Aad::from(format!("{}/{}/{}/{}", key.app, key.id, key.created_ms, grant_json(&key.grant)))
}

impl AccessKeyStore for LocalAccessKeys {
    fn create<'a>(&'a self, app: &'a AppId, grant: Grant) -> BoxFuture<'a, Result<AccessKeyPair, AccessKeyError>> {
        self.create_one(app, grant).boxed()
    }

    fn find<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<AccessKeyPair>, AccessKeyError>> {
        async move { self.find_one(id) }.boxed()
    }

    fn list<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Result<Vec<AccessKey>, AccessKeyError>> {
        async move {
            let stored = self.database.read(|c| {
                let sql = format!("SELECT {COLUMNS} FROM access_key WHERE tenant = ?1 AND app = ?2 ORDER BY number");
                let mut statement = c.prepare_cached(&sql)?;
                let rows = statement.query_map([app.tenant.as_str(), app.app.as_str()], read)?;
                rows.collect::<rusqlite::Result<Vec<_>>>()
            })?;
            Ok(stored.into_iter().map(|stored| stored.key).collect())
        }
        .boxed()
    }

    fn delete<'a>(&'a self, app: &'a AppId, id: &'a str) -> BoxFuture<'a, Result<bool, AccessKeyError>> {
        let (app, id) = (app.clone(), id.to_owned());
        let write = move |tx: &mut Tx<'_>| -> Result<bool, WriteError<AccessKeyError>> {
            let mut delete = tx.prepare("DELETE FROM access_key WHERE tenant = ?1 AND app = ?2 AND id = ?3")?;
            Ok(delete.execute([app.tenant.as_str(), app.app.as_str(), &id])? > 0)
        };
        self.database.write(0, write).boxed()
    }
}
