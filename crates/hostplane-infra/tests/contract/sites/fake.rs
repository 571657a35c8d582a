//! The fakes.

use std::sync::Arc;

use async_trait::async_trait;
use hostplane_domain::mark::Labels;
use hostplane_infra::containers::{Containers, NetworkSpec};
use hostplane_infra::error::Dependency;
use hostplane_infra::world::World;
use hostplane_testing::fake::{ContainersState, DatabaseState, FakeWorld, ScriptedGate, State};

use super::{Ground, Harness, run};

struct InMemory {
    fake: FakeWorld,
    gate: Arc<ScriptedGate>,
    world: World,
    ground: Ground,
}

impl InMemory {
    async fn new() -> Self {
        let ground = |shared_network_id| Ground {
            php_image: "hostplane/php:test".to_owned(),
            nginx_image: "hostplane/nginx:test".to_owned(),
            shared_network: "shared".to_owned(),
            shared_network_id,
            database_host: "mariadb:3306".to_owned(),
        };
        let (fake, gate) = (FakeWorld::default(), ScriptedGate::new());
        let subnet = Some("172.31.0.0/16".parse().unwrap());
        let shared = NetworkSpec { name: "shared".to_owned(), subnet, labels: Labels::new() };
        let ground = ground(fake.create_network(&shared).await.unwrap());
        fake.state().containers.images.extend([ground.php_image.clone(), ground.nginx_image.clone()]);
        Self { world: fake.behind(gate.clone()), fake, gate, ground }
    }

    fn change<T>(&self, database: &str, change: impl FnOnce(&mut DatabaseState) -> T) -> T {
        let mut state = self.fake.state();
        change(state.databases.databases.get_mut(database).expect("the database is there"))
    }
}

#[async_trait(?Send)]
impl Harness for InMemory {
    fn world(&self) -> &World {
        &self.world
    }

    fn ground(&self) -> &Ground {
        &self.ground
    }

    async fn tables(&self, database: &str) -> Vec<String> {
        self.change(database, |found| found.tables.keys().cloned().collect())
    }

    async fn make_table(&self, database: &str, table: &str) {
        self.change(database, |found| found.tables.insert(table.to_owned(), String::new()));
    }

    async fn rename_tables(&self, database: &str, from: &str, to: &str) {
        let renamed = |table: String| table.strip_prefix(from).map_or(table.clone(), |rest| format!("{to}{rest}"));
        self.change(database, |found| {
            let tables = std::mem::take(&mut found.tables);
            found.tables = tables.into_iter().map(|(table, rows)| (renamed(table), rows)).collect();
        });
    }

    async fn title(&self, database: &str) -> Option<String> {
        self.change(database, |found| found.tables.get("wp_options").cloned())
    }

    async fn delete_marker(&self, database: &str) {
        self.change(database, |found| found.installed = None);
    }

    async fn drop_database(&self, database: &str) {
        self.fake.state().databases.databases.remove(database);
    }

    async fn change_password(&self, user: &str) {
        let mut state = self.fake.state();
        state.databases.users.get_mut(user).expect("the user is there").password_hash = format!("*{}", "0".repeat(40));
    }

    async fn widen_grants(&self, user: &str) {
        self.fake.state().databases.users.get_mut(user).expect("the user is there").grants_more = true;
    }

    async fn hide_proxy(&self) {
        self.gate.cut_off(Dependency::Site);
    }

    async fn show_proxy(&self) {
        self.gate.reconnect(Dependency::Site);
    }
}

#[tokio::test]
async fn the_fakes_keep_to_the_contract() {
    let harness = InMemory::new().await;
    let world = harness.fake.clone();
    let before = world.state().containers.clone();
    run(&(Arc::new(harness) as Arc<dyn Harness>)).await;
    let State { containers, .. } = world.state().clone();
    assert_eq!(containers, ContainersState { ids: containers.ids, ..before }, "nothing of a case is left");
}
