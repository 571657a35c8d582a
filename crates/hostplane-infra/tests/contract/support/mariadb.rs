//! A real MariaDB, in a container of its own.

use std::sync::Arc;

use hostplane_domain::secret::mariadb_hash;
use hostplane_infra::databases::{Databases, Mariadb, MariadbAddress};
use sqlx::mysql::{MySqlConnectOptions, MySqlRow, MySqlSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, MySqlConnection, Row};

use crate::server::{Ingredients, TestContainer, eventually, file};

const ADMIN: &str = "hostplane";
const PASSWORD: &str = "contract-admin";

/// A server that goes when it is dropped.
pub struct Server {
    pub server: TestContainer,
    pub adapter: Arc<Mariadb>,
}

impl Server {
    pub async fn start() -> Self {
        let hash = mariadb_hash(&PASSWORD.into());
        let sql = format!(
            "CREATE USER `{ADMIN}`@`%` IDENTIFIED VIA mysql_native_password USING '{hash}';\n\
             GRANT ALL PRIVILEGES ON *.* TO `{ADMIN}`@`%` WITH GRANT OPTION;\n"
        );
        let server = TestContainer::start(Ingredients {
            what: "mariadb",
            image: "MARIADB_IMAGE",
            command: &["mariadbd", "--innodb-flush-log-at-trx-commit=0"],
            user: "999:999",
            port: 3306,
            files: vec![("/docker-entrypoint-initdb.d", vec![file("admin.sql", 999, sql)])],
        })
        .await;
        let adapter = Arc::new(Mariadb::new(address(server.port, ADMIN, PASSWORD)));
        eventually("MariaDB answers", async || adapter.ping().await.is_ok()).await;
        Self { server, adapter }
    }

    /// A user's connection.
    pub async fn login(&self, user: &str, password: &str) -> Result<MySqlConnection, sqlx::Error> {
        MySqlConnectOptions::new()
            .host("127.0.0.1")
            .port(self.server.port)
            .username(user)
            .password(password)
            .ssl_mode(MySqlSslMode::Disabled)
            .disable_statement_logging()
            .connect()
            .await
    }

    /// Runs statements as the administrator.
    pub async fn run(&self, sql: &str) {
        let mut admin = self.login(ADMIN, PASSWORD).await.unwrap();
        execute(&mut admin, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// The first column of a query, as the administrator.
    pub async fn query(&self, sql: &str) -> Vec<String> {
        let mut admin = self.login(ADMIN, PASSWORD).await.unwrap();
        let rows = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch_all(&mut admin).await;
        let rows = rows.unwrap_or_else(|error| panic!("{sql}: {error}"));
        rows.iter().map(|row: &MySqlRow| row.try_get::<Option<String>, _>(0).unwrap().unwrap_or_default()).collect()
    }
}

/// Runs a statement.
pub async fn execute(connection: &mut MySqlConnection, sql: &str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.map(drop)
}

/// Address of a server that is published on loopback.
pub fn address(port: u16, user: &str, password: &str) -> MariadbAddress {
    MariadbAddress::new("127.0.0.1", port, user, password.into())
}
