//! The migrations of the control database, in the order in which sqlx runs them.
//!
//! sqlx's macro `migrate!` would read the directory, but a macro runs while the program is compiled: the compiler would
//! build sqlx, `SQLite` and TLS a second time for it.

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// Version, description and text of each file in `migrations/`, as its name has them.
const FILES: [(i64, &str, &str); 8] = [
    (1, "first", include_str!("../../migrations/0001_first.sql")),
    (2, "claims and cancel", include_str!("../../migrations/0002_claims_and_cancel.sql")),
    (3, "broken off", include_str!("../../migrations/0003_broken_off.sql")),
    (4, "token scopes", include_str!("../../migrations/0004_token_scopes.sql")),
    (5, "why", include_str!("../../migrations/0005_why.sql")),
    (6, "lists and history", include_str!("../../migrations/0006_lists_and_history.sql")),
    (7, "baseline", include_str!("../../migrations/0007_baseline.sql")),
    (8, "people first", include_str!("../../migrations/0008_people_first.sql")),
];

/// The migrator over all migrations.
pub(super) fn migrator() -> Migrator {
    let migration = |(version, description, text): (i64, &'static str, &'static str)| {
        Migration::new(version, description.into(), MigrationType::Simple, text.into_sql_str(), false)
    };
    Migrator::with_migrations(FILES.map(migration).into())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[tokio::test]
    async fn every_migration_file_is_listed() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
        let parts = |migrator: &Migrator| -> Vec<_> {
            let one = |one: &Migration| {
                let sql = one.sql.as_str().to_owned();
                (one.version, one.description.clone(), one.checksum.clone(), one.migration_type, one.no_tx, sql)
            };
            migrator.iter().map(one).collect()
        };
        assert_eq!(parts(&migrator()), parts(&Migrator::new(directory).await.unwrap()));
    }
}
