//! The fake.

use std::sync::Arc;

use async_trait::async_trait;
use hostplane_domain::due_events::first_due;
use hostplane_infra::clock::{Clock, Timestamp};
use hostplane_infra::databases::Databases;
use hostplane_testing::contract::carry_out;
use hostplane_testing::fake::{DatabasesState, FakeWorld, LedgerRow, StatementState};

use super::{Harness, all_cases};

#[async_trait]
impl Harness for FakeWorld {
    fn databases(&self) -> Arc<dyn Databases> {
        Arc::new(self.clone())
    }

    async fn rival(&self) -> Arc<dyn Databases> {
        self.databases()
    }

    fn denied(&self) -> Arc<dyn Databases> {
        let world = Self::default();
        let state = self.state().databases.clone();
        world.state().databases = DatabasesState { denies: true, ..state };
        Arc::new(world)
    }

    async fn plant_table(&self, database: &str, table: &str) {
        let mut state = self.state();
        let database = state.databases.databases.get_mut(database).unwrap();
        database.tables.insert(table.to_owned(), "something".to_owned());
    }

    async fn grow(&self, database: &str, _: &str) {
        self.state().databases.databases.get_mut(database).unwrap().size = (9 << 20, 0);
    }

    async fn shrink(&self, database: &str, _: &str) {
        self.state().databases.databases.get_mut(database).unwrap().size = (9 << 20, 8 << 20);
    }

    async fn tables(&self, database: &str) -> Vec<String> {
        self.state().databases.databases[database].tables.keys().cloned().collect()
    }

    async fn plant_database(&self, name: &str) {
        let mut state = self.state();
        let database = state.databases.databases.entry(name.to_owned()).or_default();
        database.tables.insert("theirs".to_owned(), "by hand".to_owned());
    }

    async fn plant_user(&self, name: &str) {
        self.state().databases.users.entry(name.to_owned()).or_default().max_connections = 1;
    }

    async fn drop_database(&self, name: &str) {
        self.state().databases.databases.remove(name);
    }

    async fn drop_user(&self, name: &str) {
        self.state().databases.users.remove(name);
    }

    async fn delete_row(&self, name: &str) {
        self.state().databases.ledger.remove(name);
    }

    async fn spoil_row(&self, name: &str) {
        self.state().databases.ledger.insert(name.to_owned(), LedgerRow::default());
    }

    async fn change_user(&self, name: &str) {
        let mut state = self.state();
        let user = state.databases.users.get_mut(name).unwrap();
        user.password_hash = format!("*{}", "0".repeat(40));
        user.max_connections = 99;
    }

    async fn widen_grants(&self, name: &str) {
        self.state().databases.users.get_mut(name).unwrap().grants_more = true;
    }

    async fn narrow_grants(&self, name: &str) {
        self.state().databases.users.get_mut(name).unwrap().grants_exact = false;
    }

    async fn schedule(&self, database: &str, option: &str) {
        let due = first_due(option).map(|seconds| Timestamp(seconds * 1_000_000));
        self.state().databases.databases.get_mut(database).unwrap().next_event = due;
    }

    async fn begin_statement(&self, user: &str) {
        let since = self.clock().now();
        self.state().databases.statements.push(StatementState { user: user.to_owned(), since });
    }

    async fn runs_statement(&self, user: &str) -> bool {
        self.state().databases.statements.iter().any(|statement| statement.user == user)
    }

    async fn everything(&self, name: &str) -> String {
        let state = self.state();
        let state = &state.databases;
        format!("{:?} {:?} {:?}", state.databases.get(name), state.users.get(name), state.ledger.get(name))
    }
}

#[tokio::test]
async fn the_fake_keeps_to_the_contract() {
    let failed = carry_out::<dyn Harness>(&FakeWorld::default(), all_cases()).await;
    assert_eq!(failed, [""; 0], "cases failed");
}
