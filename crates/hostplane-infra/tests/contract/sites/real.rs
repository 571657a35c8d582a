//! Real servers for real sites.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use hostplane_infra::clock::SystemClock;
use hostplane_infra::containers::Containers;
use hostplane_infra::error::Effect;
use hostplane_infra::gate::LiveGate;
use hostplane_infra::probe::HttpProbe;
use hostplane_infra::proxy::Caddy;
use hostplane_infra::wordpress::{EventsLimits, EventsRun, PhpWordpress, UpdateState};
use hostplane_infra::world::{Adapters, World};

use hostplane_testing::fake::FakeWorld;

use super::site::Site;
use super::{Ground, Harness, questions, run as run_all};
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
            // No case asks about it.
            database_path: Arc::new(FakeWorld::default()),
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

    async fn rename_tables(&self, database: &str, from: &str, to: &str) {
        let named = |table: &str| format!("`{database}`.`{table}`");
        let renamed = |table: &String| {
            Some(format!("{} TO {}", named(table), named(&format!("{to}{}", table.strip_prefix(from)?))))
        };
        let all: Vec<String> = self.tables(database).await.iter().filter_map(renamed).collect();
        self.mariadb.run(&format!("RENAME TABLE {}", all.join(", "))).await;
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
    let real = Real::start().await;
    let port = real.caddy.port;
    let harness: Arc<dyn Harness> = Arc::new(real);
    run_all(&harness).await;
    signed_questions_are_answered(harness.clone(), port).await;
    a_run_of_events_is_ended_but_no_update(harness).await;
}

async fn signed_questions_are_answered(harness: Arc<dyn Harness>, port: u16) {
    let site = Site::new(harness);
    let passed = AssertUnwindSafe(async {
        let php = site.ready().await;
        site.nginx().await;
        site.route().await;
        site.unpack(&php).await.unwrap();
        site.install(&php).await.unwrap();
        eventually("it serves", async || site.get("/").await.status == 200).await;
        questions::are_answered(&site, port).await;
    })
    .catch_unwind()
    .await;
    site.clear().await;
    passed.unwrap();
}

/// A part of the site that runs in each run of due events.
const PLUGIN: &str = "wp-content/mu-plugins/test.php";
/// Writes what happened to it below the site's files.
const REPORTS: &str = "<?php
function report($what) { file_put_contents(ABSPATH . 'report.txt', $what . \"\\n\", FILE_APPEND); }
if (!wp_doing_cron()) { return; }
register_shutdown_function(static fn() => report('its end'));
";

/// Limits as short as can be while WordPress is surely loaded within the first.
const LIMITS: EventsLimits = EventsLimits { event: Duration::from_secs(4), update: Duration::from_secs(9) };

async fn run(site: &Site, php: &str, plugin: &str) -> (Effect<()>, String) {
    site.write_file("report.txt", "").await;
    site.write_file(PLUGIN, &format!("{REPORTS}{plugin}")).await;
    let run = EventsRun { url: site.want.url.clone(), memory_mib: 256, limits: LIMITS };
    let ended = site.world().local().wordpress.run_events(php, &run).await;
    (ended, site.read_file(php, "report.txt").await.expect("the report is there"))
}

/// WordPress's own call before it downloads an update.
const BEGINS: &str = "apply_filters('upgrader_pre_download', false, 'package', null, []);";

/// Runs of real programs that take a while.
async fn a_run_of_events_is_ended_but_no_update(harness: Arc<dyn Harness>) {
    let site = Site::new(harness);
    let passed = AssertUnwindSafe(async {
        let php = site.ready().await;
        site.unpack(&php).await.unwrap();
        site.install(&php).await.unwrap();
        let wordpress = &site.world().local().wordpress;

        let (ended, report) = run(&site, &php, "report('began'); sleep(30); report('went on');").await;
        assert!(ended.unwrap_err().to_string().contains("ended after 4 s"), "a run that hangs");
        assert_eq!(report, "began\nits end\n", "SIGTERM comes first");
        let (ended, report) = run(&site, &php, "pcntl_signal(SIGTERM, SIG_IGN); while (true) { sleep(1); }").await;
        assert!(ended.is_err() && report.is_empty(), "SIGKILL ends it: {report}");

        // While it runs it shows, and core isn't touched.
        let running = async {
            let begun = async || site.read_file(&php, "report.txt").await.is_some_and(|text| text == "began\n");
            eventually("it updates", begun).await;
            assert_eq!(site.facts(&php).await.update, UpdateState::Running);
            assert!(!wordpress.hold_updates(&php).await.unwrap(), "it can't be held any more");
            wordpress.repair_core(&php).await.unwrap_err();
        };
        let updates = format!("{BEGINS} report('began'); sleep(6); report('updated');");
        let ((ended, report), ()) = tokio::join!(run(&site, &php, &updates), running);
        ended.expect("an update has more time");
        assert_eq!(report, "began\nupdated\nits end\n");

        // While they are held, none begins.
        let answers = format!("$e = {BEGINS} report(is_wp_error($e) ? $e->get_error_code() : 'began');");
        assert_eq!(run(&site, &php, &answers).await.1, "began\nits end\n");
        assert!(wordpress.hold_updates(&php).await.unwrap());
        assert_eq!(run(&site, &php, &answers).await.1, "download_failed\nits end\n");
        let ages = "touch('/tmp/hostplane-update.hold', time() - 120);";
        assert_eq!(run(&site, &php, &format!("{ages} {answers}")).await.1, "began\nits end\n", "not for long");
        assert_eq!(site.facts(&php).await.update, UpdateState::None);

        let (ended, report) = run(&site, &php, &format!("{BEGINS} sleep(30); report('updated');")).await;
        assert!(ended.unwrap_err().to_string().contains("ended after 9 s"), "nor is an update endless");
        assert_eq!(report, "its end\n");
        assert_eq!(site.facts(&php).await.update, UpdateState::Other, "that it broke off is known");
        let (ended, _) = run(&site, &php, BEGINS).await;
        ended.unwrap();
        assert_eq!(site.facts(&php).await.update, UpdateState::None, "the next one ends that");
    })
    .catch_unwind()
    .await;
    site.clear().await;
    passed.unwrap();
}
