//! A real Caddy, in a container of its own.

use hostplane_domain::render::caddy::main_config;
use hostplane_infra::proxy::CaddyLocation;

use crate::server::{Ingredients, TestContainer, directory, file};

/// Starts one without any site.
pub async fn start() -> TestContainer {
    TestContainer::start(Ingredients {
        what: "caddy",
        image: "CADDY_IMAGE",
        command: &["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"],
        user: "1000:1000",
        port: 80,
        files: vec![("/etc/caddy", vec![directory("sites", 1000), file("Caddyfile", 1000, main_config("sites"))])],
    })
    .await
}

/// Its location for the adapter.
pub fn place(container: &str) -> CaddyLocation {
    CaddyLocation { container: container.to_owned(), conf_dir: "/etc/caddy".to_owned() }
}
