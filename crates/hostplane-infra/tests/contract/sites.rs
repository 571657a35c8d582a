//! The contracts of [`Wordpress`](hostplane_infra::wordpress::Wordpress) and
//! [`SiteProbe`](hostplane_infra::probe::SiteProbe): the fakes always, and with the feature `stack` real PHP, nginx,
//! Caddy and MariaDB.

mod fake;
mod probe;
#[cfg(feature = "stack")]
mod questions;
#[cfg(feature = "stack")]
mod real;
mod support;
mod wordpress;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{FutureExt, StreamExt, stream};
use hostplane_infra::world::World;
use hostplane_testing::contract::Case;

use support::site::{self, Site};

/// A world in which sites can be made, and hands that reach past the adapters.
#[async_trait(?Send)]
trait Harness: Send + Sync {
    fn world(&self) -> &World;
    fn ground(&self) -> &Ground;
    /// The names of a database's tables.
    async fn tables(&self, database: &str) -> Vec<String>;
    /// Makes an empty table.
    async fn make_table(&self, database: &str, table: &str);
    /// Gives the tables another prefix.
    async fn rename_tables(&self, database: &str, from: &str, to: &str);
    /// The title of the WordPress that is installed.
    async fn title(&self, database: &str) -> Option<String>;
    /// Takes away the option that says that WordPress is installed.
    async fn delete_marker(&self, database: &str);
    async fn drop_database(&self, database: &str);
    /// Gives the user another password than the site's settings have.
    async fn change_password(&self, user: &str);
    /// Gives the user more than it should have.
    async fn widen_grants(&self, user: &str);
    /// Nothing listens where visitors ask, until it does again.
    async fn hide_proxy(&self);
    async fn show_proxy(&self);
}

/// The ground that the sites of a harness stand on.
struct Ground {
    php_image: String,
    nginx_image: String,
    /// The network that the sites share with the proxy and, here, with the database server.
    shared_network: String,
    shared_network_id: String,
    /// `host:port` as the sites' containers see it.
    database_host: String,
}

/// Sites that are made at the same time: on real servers most of the time is spent on waiting.
const AT_ONCE: usize = 3;

/// Runs every case on a harness, and clears up after each.
async fn run(harness: &Arc<dyn Harness>) {
    let cases = wordpress::CASES.iter().chain(probe::CASES);
    let mut failed: Vec<&str> =
        stream::iter(cases).map(|case| on(harness, case)).buffer_unordered(AT_ONCE).concat().await;
    // These concern every site there is.
    for case in probe::ALONE {
        failed.extend(on(harness, case).await);
    }
    assert!(failed.is_empty(), "{failed:?}");
}

/// The name of the case if it failed.
async fn on(harness: &Arc<dyn Harness>, (name, case): &Case<Site>) -> Vec<&'static str> {
    let site = Site::new(Arc::clone(harness));
    let passed = AssertUnwindSafe(case(&site)).catch_unwind().await.is_ok();
    site.clear().await;
    println!("{} {name}", if passed { "ok    " } else { "FAILED" });
    if passed { Vec::new() } else { vec![name] }
}
