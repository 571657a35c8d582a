//! A real server, in a container of its own.

mod faults;
mod tenants;

use std::sync::Arc;

use async_trait::async_trait;
use hostplane_infra::databases::{Databases, Mariadb};
use hostplane_testing::contract::carry_out;

use super::{Harness, all_cases};
pub(super) use crate::mariadb::{Server as Real, address, execute};

/// The table as WordPress makes it, unless it is there.
pub(super) fn options_table(database: &str) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS `{database}`.wp_options (option_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT, \
         option_name VARCHAR(191) NOT NULL DEFAULT '', option_value LONGTEXT NOT NULL, \
         autoload VARCHAR(20) NOT NULL DEFAULT 'yes', PRIMARY KEY (option_id), UNIQUE KEY option_name (option_name), \
         KEY autoload (autoload)) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci"
    )
}

#[async_trait]
impl Harness for Real {
    fn databases(&self) -> Arc<dyn Databases> {
        self.adapter.clone()
    }

    async fn rival(&self) -> Arc<dyn Databases> {
        self.run(
            "CREATE USER `rival`@`%` IDENTIFIED BY 'rival'; \
             GRANT ALL PRIVILEGES ON *.* TO `rival`@`%` WITH GRANT OPTION",
        )
        .await;
        Arc::new(Mariadb::new(address(self.server.port, "rival", "rival")))
    }

    fn denied(&self) -> Arc<dyn Databases> {
        Arc::new(Mariadb::new(address(self.server.port, "hostplane", "wr0ng-password")))
    }

    async fn plant_table(&self, database: &str, table: &str) {
        self.run(&format!(
            "CREATE TABLE `{database}`.`{table}` (x INT); INSERT INTO `{database}`.`{table}` VALUES (1)"
        ))
        .await;
    }

    async fn grow(&self, database: &str, table: &str) {
        self.run(&format!("ALTER TABLE `{database}`.`{table}` ADD COLUMN long_text LONGTEXT")).await;
        self.run(&format!(
            "INSERT INTO `{database}`.`{table}` (x, long_text) SELECT seq, REPEAT('x', 100000) FROM \
             (SELECT 1 AS seq UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 \
             UNION SELECT 8 UNION SELECT 9 UNION SELECT 10) AS ones, (SELECT 1 AS n UNION SELECT 2 UNION SELECT 3 \
             UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9 UNION SELECT 10) AS tens"
        ))
        .await;
    }

    async fn shrink(&self, database: &str, table: &str) {
        self.run(&format!("DELETE FROM `{database}`.`{table}`")).await;
    }

    async fn tables(&self, database: &str) -> Vec<String> {
        let columns = "CONCAT_WS('|', TABLE_NAME, CREATE_TIME)";
        self.query(&format!("SELECT {columns} FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{database}'")).await
    }

    async fn plant_database(&self, name: &str) {
        self.run(&format!(
            "CREATE DATABASE `{name}` COMMENT 'by hand'; CREATE TABLE `{name}`.theirs (x INT); \
             INSERT INTO `{name}`.theirs VALUES (1)"
        ))
        .await;
    }

    async fn plant_user(&self, name: &str) {
        self.run(&format!("CREATE USER `{name}`@`%` IDENTIFIED BY 'theirs' WITH MAX_USER_CONNECTIONS 1")).await;
        self.run(&format!("GRANT SELECT ON `{name}`.* TO `{name}`@`%`")).await;
    }

    async fn drop_database(&self, name: &str) {
        self.run(&format!("DROP DATABASE `{name}`")).await;
    }

    async fn drop_user(&self, name: &str) {
        self.run(&format!("DROP USER `{name}`@`%`")).await;
    }

    async fn delete_row(&self, name: &str) {
        self.run(&format!("DELETE FROM wp__hostplane.tenants WHERE tenant = '{name}'")).await;
    }

    async fn spoil_row(&self, name: &str) {
        self.run(&format!("UPDATE wp__hostplane.tenants SET spec = 'nonsense' WHERE tenant = '{name}'")).await;
    }

    async fn change_user(&self, name: &str) {
        self.run(&format!("SET PASSWORD FOR `{name}`@`%` = PASSWORD('another')")).await;
        self.run(&format!("GRANT USAGE ON *.* TO `{name}`@`%` WITH MAX_USER_CONNECTIONS 99")).await;
    }

    /// In turn, as there are many ways.
    async fn widen_grants(&self, name: &str) {
        let pattern = name.replace('_', "\\_");
        self.run(&format!("GRANT EVENT ON `{pattern}`.* TO `{name}`@`%` WITH GRANT OPTION")).await;
        self.run(&format!("GRANT SELECT ON `{name}`.* TO `{name}`@`%`")).await;
        self.run("CREATE ROLE IF NOT EXISTS `contract role`").await;
        self.run(&format!("GRANT `contract role` TO `{name}`@`%`")).await;
    }

    async fn narrow_grants(&self, name: &str) {
        let pattern = name.replace('_', "\\_");
        self.run(&format!("REVOKE INSERT, LOCK TABLES ON `{pattern}`.* FROM `{name}`@`%`")).await;
    }

    async fn schedule(&self, database: &str, option: &str) {
        self.run(&options_table(database)).await;
        self.run(&format!(
            "INSERT INTO `{database}`.wp_options (option_name, option_value) VALUES ('cron', '{option}') \
             ON DUPLICATE KEY UPDATE option_value = '{option}'"
        ))
        .await;
    }

    async fn begin_statement(&self, user: &str) {
        let mut session = match self.login(user, "secret").await {
            Ok(session) => session,
            Err(_) => self.login(user, "theirs").await.unwrap(),
        };
        // It ends with the server at the latest.
        tokio::spawn(async move { execute(&mut session, "SELECT SLEEP(600), 's3cret'").await });
        while !self.runs_statement(user).await {}
    }

    async fn runs_statement(&self, user: &str) -> bool {
        let running =
            format!("SELECT '' FROM information_schema.PROCESSLIST WHERE USER = '{user}' AND INFO LIKE '%s3cret%'");
        !self.query(&running).await.is_empty()
    }

    async fn everything(&self, name: &str) -> String {
        let ledger =
            self.query("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = 'wp__hostplane'");
        let row = if ledger.await.is_empty() {
            Vec::new()
        } else {
            let columns = "CONCAT_WS('|', tenant, instance, site, site_id, resource, operation, spec, confirmed)";
            self.query(&format!("SELECT {columns} FROM wp__hostplane.tenants WHERE tenant = '{name}'")).await
        };
        let database = self.query(&format!("SELECT CONCAT_WS('|', SCHEMA_NAME, DEFAULT_COLLATION_NAME, SCHEMA_COMMENT) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = '{name}'")).await;
        let tables = self.query(&format!("SELECT CONCAT_WS('|', TABLE_NAME, CREATE_TIME, TABLE_ROWS) FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{name}'")).await;
        // Holds the time of the last change of the password.
        let user = self
            .query(&format!("SELECT CONCAT_WS('|', Host, User, Priv) FROM mysql.global_priv WHERE User = '{name}'"))
            .await;
        let grants = self.query(&format!("SELECT CONCAT_WS('|', GRANTEE, TABLE_SCHEMA, PRIVILEGE_TYPE, IS_GRANTABLE) FROM information_schema.SCHEMA_PRIVILEGES WHERE GRANTEE = '''{name}''@''%'''")).await;
        format!("{row:?} {database:?} {tables:?} {user:?} {grants:?}")
    }
}

/// One server for all cases: each uses names of its own.
#[tokio::test(flavor = "multi_thread")]
async fn the_real_server_keeps_to_the_contract() {
    let harness = Real::start().await;
    let shared = carry_out::<dyn Harness>(&harness, all_cases()).await;
    let own = carry_out(&harness, tenants::CASES.iter().chain(faults::CASES)).await;
    assert_eq!([shared, own].concat(), [""; 0], "cases failed");
}
