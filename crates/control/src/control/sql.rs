//! SQL databases of an app: their migrations.

use std::sync::Arc;

use control_api::ApiError;
use manifest::Databases;
use services::sql::Migration;
use services::{AppId, SqlDatabase};

use super::{Control, failed};
use crate::document::Document;

impl Control {
    /// Applies what is missing to each database that has migrations. Those of a family are applied
    /// when one of its databases is used.
    pub(super) async fn migrate(&self, app: &AppId, document: &Document) -> Result<(), ApiError> {
        for (databases, texts) in document.migrations() {
            let Databases::One(name) = databases else { continue };
            let database = SqlDatabase::new(app, name.into());
            let migrations: Arc<[Migration]> = texts.iter().map(Migration::from).collect();
            let applied = self.parts.sql.migrate(&database, migrations).await.map_err(failed)?;
            for migration in applied {
                tracing::info!(%database, migration, "applied");
            }
        }
        Ok(())
    }
}
