//! Databases that only note which migrations they were given.

use std::sync::{Arc, Mutex};

use services::sql::{
    Applied, Copied, Migration, ScriptAnswer, Sql, SqlAnswer, SqlChangesOptions, SqlChangesPage, SqlDatabase, SqlError,
    SqlStatement, SqlStream, SqlTransaction,
};
use services::{AppId, BoxFuture, StoreError};

#[derive(Default)]
pub struct NotedMigrations(pub Mutex<Vec<(String, String)>>);

fn nothing<T: Send + 'static>() -> BoxFuture<'static, Result<T, SqlError>> {
    Box::pin(async { Err(StoreError::Closed.into()) })
}

impl Sql for NotedMigrations {
    fn batch<'a>(&'a self, _: &'a SqlDatabase, _: Vec<SqlStatement>) -> BoxFuture<'a, Result<SqlAnswer, SqlError>> {
        nothing()
    }

    fn script<'a>(&'a self, _: &'a SqlDatabase, _: String) -> BoxFuture<'a, Result<ScriptAnswer, SqlError>> {
        nothing()
    }

    fn import<'a>(&'a self, _: &'a SqlDatabase, _: String) -> BoxFuture<'a, Result<ScriptAnswer, SqlError>> {
        nothing()
    }

    fn databases<'a>(&'a self, _: &'a AppId) -> BoxFuture<'a, Result<Vec<SqlDatabase>, SqlError>> {
        nothing()
    }

    fn used<'a>(&'a self, _: &'a AppId) -> BoxFuture<'a, Result<u64, SqlError>> {
        nothing()
    }

    fn copy<'a>(
        &'a self,
        _: &'a SqlDatabase,
        _: Option<u64>,
        _: &'a SqlDatabase,
    ) -> BoxFuture<'a, Result<Copied, SqlError>> {
        nothing()
    }

    fn delete<'a>(&'a self, _: &'a SqlDatabase) -> BoxFuture<'a, Result<(), SqlError>> {
        nothing()
    }

    fn changes<'a>(
        &'a self,
        _: &'a SqlDatabase,
        _: SqlChangesOptions,
    ) -> BoxFuture<'a, Result<SqlChangesPage, SqlError>> {
        nothing()
    }

    fn begin<'a>(&'a self, _: &'a SqlDatabase) -> BoxFuture<'a, Result<Box<dyn SqlTransaction>, SqlError>> {
        nothing()
    }

    fn stream<'a>(
        &'a self,
        _: &'a SqlDatabase,
        _: SqlStatement,
    ) -> BoxFuture<'a, Result<Box<dyn SqlStream>, SqlError>> {
        nothing()
    }

    fn migrate<'a>(
        &'a self,
        database: &'a SqlDatabase,
        migrations: Arc<[Migration]>,
    ) -> BoxFuture<'a, Result<Vec<String>, SqlError>> {
        Box::pin(async move {
            let mut noted = self.0.lock().unwrap();
            let applied: Vec<Applied> = noted
                .iter()
                .filter(|(name, _)| *name == database.to_string())
                .map(|(_, migration)| Applied { name: migration.clone(), checksum: String::new(), applied_ms: 0 })
                .collect();
            let new = migrations.iter().skip(applied.len()).map(|m| m.name.clone()).collect::<Vec<_>>();
            noted.extend(new.iter().map(|name| (database.to_string(), name.clone())));
            Ok(new)
        })
    }

    fn migrations<'a>(&'a self, _: &'a SqlDatabase) -> BoxFuture<'a, Result<Vec<Applied>, SqlError>> {
        nothing()
    }
}
