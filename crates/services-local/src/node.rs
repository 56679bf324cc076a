//! The node's own database, `node.db`: deployments, releases and sealed secrets.

use std::sync::Arc;

use services::StoreError;

use crate::data_dir::Root;
use crate::database::{Database, Kind};

pub const KIND: Kind = Kind { application_id: 0x534c_564e, migrations: &[SCHEMA_1, SECRET_VERSIONS] };

const SCHEMA_1: &str = "
    CREATE TABLE deployment (
        number INTEGER PRIMARY KEY,
        tenant TEXT NOT NULL,
        app TEXT NOT NULL,
        id BLOB NOT NULL,
        created_ms INTEGER NOT NULL,
        message TEXT,
        document BLOB NOT NULL,
        -- A JSON array of lower-case strings.
        hosts TEXT NOT NULL,
        UNIQUE (tenant, app, id)
    ) STRICT;
    CREATE TABLE release (
        tenant TEXT NOT NULL,
        app TEXT NOT NULL,
        number INTEGER NOT NULL,
        deployment BLOB NOT NULL,
        released_ms INTEGER NOT NULL,
        by TEXT NOT NULL,
        PRIMARY KEY (tenant, app, number)
    ) STRICT, WITHOUT ROWID;
    -- The hosts of what is released; the primary key is the promise that a host has one owner.
    CREATE TABLE host (
        host TEXT NOT NULL PRIMARY KEY,
        tenant TEXT NOT NULL,
        app TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX host_app ON host (tenant, app);
    -- The generation of what is released.
    CREATE TABLE generation (value INTEGER NOT NULL) STRICT;
    INSERT INTO generation VALUES (0);
    CREATE TABLE secret (
        tenant TEXT NOT NULL,
        app TEXT NOT NULL,
        name TEXT NOT NULL,
        version INTEGER NOT NULL,
        updated_ms INTEGER NOT NULL,
        nonce BLOB NOT NULL,
        sealed BLOB NOT NULL,
        PRIMARY KEY (tenant, app, name)
    ) STRICT;
    -- Which node key the secrets are sealed with: at most one row.
    CREATE TABLE node_key (check_value BLOB NOT NULL) STRICT;
";

/// Secrets have versions, and values for environments; an empty text is for all others.
const SECRET_VERSIONS: &str = "
    CREATE TABLE secret_version (
        tenant TEXT NOT NULL,
        app TEXT NOT NULL,
        name TEXT NOT NULL,
        env TEXT NOT NULL,
        version INTEGER NOT NULL,
        updated_ms INTEGER NOT NULL,
        -- Until when it is the previous version, if it is.
        previous_until_ms INTEGER,
        nonce BLOB NOT NULL,
        sealed BLOB NOT NULL,
        PRIMARY KEY (tenant, app, name, env, version)
    ) STRICT;
    INSERT INTO secret_version
        SELECT tenant, app, name, '', version, updated_ms, NULL, nonce, sealed FROM secret;
    DROP TABLE secret;
";

pub fn open(root: &Root) -> Result<Arc<Database>, StoreError> {
    Database::open(&root.path.join("node.db"), KIND, root.options.clock.clone(), root.writers())
}
