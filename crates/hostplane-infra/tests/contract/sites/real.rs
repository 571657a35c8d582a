//! Real servers for real sites.

use std::sync::Arc;

use async_trait::async_trait;
use hostplane_infra::clock::SystemClock;
use hostplane_infra::containers::Containers;
use hostplane_infra::gate::LiveGate;
use hostplane_infra::probe::HttpProbe;
use hostplane_infra::proxy::Caddy;
use hostplane_infra::wordpress::PhpWordpress;
use hostplane_infra::world::{Adapters, World};

use super::{Ground, Harness, run};
use crate::mariadb::Server;
use crate::server::{TestContainer, TestNetwork, eventually, image};
use crate::{caddy, server};

struct Real {
    world: World,
    ground: Ground,
    mariadb: Server,
    caddy: TestContainer,
    // The last to go, after what is connected to it.
    _shared: TestNetwork,
}

impl Real {
    async fn start() -> Self {
        let shared = TestNetwork::make("shared").await;
        let (mariadb, caddy) = tokio::join!(Server::start(), caddy::start());
        let docker: Arc<dyn Containers> = Arc::new(server::docker());
        for server in [&mariadb.server, &caddy] {
            docker.connect(&shared.id, &server.id).await.unwrap();
        }
        let adapters = Adapters {
            databases: mariadb.adapter.clone(),
            proxy: Arc::new(Caddy::new(docker.clone(), caddy::place(&caddy.name))),
            wordpress: Arc::new(PhpWordpress::new(docker.clone())),
            probe: Arc::new(HttpProbe::new(format!("127.0.0.1:{}", caddy.port)).unwrap()),
            containers: docker,
            clock: Arc::new(SystemClock),
        };
        let ground = Ground {
            php_image: image("PHP_IMAGE"),
            nginx_image: image("NGINX_IMAGE"),
            shared_network: shared.name.clone(),
            shared_network_id: shared.id.clone(),
            database_host: format!("{}:3306", mariadb.server.name),
        };
        let harness = Self { world: World::new(adapters, LiveGate::new()), ground, mariadb, caddy, _shared: shared };
        harness.show_proxy().await;
        harness
    }
}

#[async_trait(?Send)]
impl Harness for Real {
    fn world(&self) -> &World {
        &self.world
    }

    fn ground(&self) -> &Ground {
        &self.ground
    }

    async fn tables(&self, database: &str) -> Vec<String> {
        let sql = format!(
            "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{database}' ORDER BY TABLE_NAME"
        );
        self.mariadb.query(&sql).await
    }

    async fn make_table(&self, database: &str, table: &str) {
        self.mariadb.run(&format!("CREATE TABLE `{database}`.`{table}` (x INT)")).await;
    }

    async fn title(&self, database: &str) -> Option<String> {
        let sql = format!("SELECT option_value FROM `{database}`.wp_options WHERE option_name = 'blogname'");
        // As WordPress stores it.
        let unescape = |text: String| {
            text.replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&quot;", "\"")
                .replace("&#039;", "'")
                .replace("&amp;", "&")
        };
        self.mariadb.query(&sql).await.pop().map(unescape)
    }

    async fn delete_marker(&self, database: &str) {
        self.mariadb
            .run(&format!("DELETE FROM `{database}`.wp_options WHERE option_name = 'hostplane_installed'"))
            .await;
    }

    async fn drop_database(&self, database: &str) {
        self.mariadb.run(&format!("DROP DATABASE `{database}`")).await;
    }

    async fn change_password(&self, user: &str) {
        self.mariadb.run(&format!("SET PASSWORD FOR `{user}`@`%` = PASSWORD('another')")).await;
    }

    async fn widen_grants(&self, user: &str) {
        self.mariadb.run(&format!("GRANT PROCESS ON *.* TO `{user}`@`%`")).await;
    }

    async fn hide_proxy(&self) {
        self.caddy.docker.stop_container(&self.caddy.id, 5).await.unwrap();
    }

    async fn show_proxy(&self) {
        self.caddy.docker.start_container(&self.caddy.id).await.unwrap();
        let absent = hostplane_domain::url::SiteUrl { host: "absent.test".into(), port: 80 };
        eventually("Caddy answers", async || self.world.probe.get(&absent, "/").await.is_ok()).await;
    }
}

/// The same servers for all cases: each has a site of its own.
#[tokio::test(flavor = "multi_thread")]
async fn real_sites_keep_to_the_contract() {
    let harness: Arc<dyn Harness> = Arc::new(Real::start().await);
    run(&harness).await;
}
