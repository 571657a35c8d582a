//! Signed questions to a real WordPress: what an owner's code does to it, and what a stranger may ask.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use hostplane_domain::health::{Condition, Health};
use hostplane_domain::probe_key::{PROBE_HEADER, PROBE_PATH, ProbeMode, Question};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::site::Site;

/// A plugin of the owner's that runs before all others.
const PLUGIN: &str = "wp-content/mu-plugins/owner.php";

/// Each case: a plugin, WordPress's condition with it, and the reason.
const PLUGINS: &[(&str, Condition, Option<&str>)] = &[
    (
        "<?php\nno_such_function();",
        Condition::Failing,
        Some("a fatal error in wp-content/mu-plugins/owner.php, line 2"),
    ),
    ("<?php\nthis is no PHP", Condition::Failing, Some("a fatal error in wp-content/mu-plugins/owner.php, line 2")),
    (
        "<?php\nadd_action('init', function () {\n throw new Exception('s3cret'); });",
        Condition::Failing,
        Some("a fatal error in wp-content/mu-plugins/owner.php, line 3"),
    ),
    ("<?php http_response_code(401); exit('members only');", Condition::Intercepted, None),
    ("<?php add_action('init', function () { http_response_code(503); exit('soon'); });", Condition::Serving, None),
    (
        "<?php add_action('init', function () { wp_redirect('https://elsewhere.test/'); exit; });",
        Condition::Serving,
        None,
    ),
    ("<?php add_action('init', function () { while (ob_get_level()) { ob_end_clean(); } });", Condition::Serving, None),
    ("<?php", Condition::Serving, None),
];

/// The site is installed and has its route.
pub async fn are_answered(site: &Site, port: u16) {
    for (plugin, condition, why) in PLUGINS {
        site.write_file(PLUGIN, plugin).await;
        let health = until(site, ProbeMode::Alive, PROBE_PATH, *condition).await;
        assert_eq!((health.condition(), health.fault().as_deref()), (*condition, *why), "{plugin}: {health:?}");
    }
    site.write_file(".maintenance", &format!("<?php $upgrading = {};", now())).await;
    assert_eq!(site.get("/").await.status, 503);
    assert_eq!(alive(site).await.condition(), Condition::Serving, "its own maintenance page is no failure");
    site.write_file(".maintenance", "<?php $upgrading = 1;").await;

    // A page that breaks off only when it is shown.
    site.write_file(PLUGIN, "<?php\nadd_action('wp_footer', function () {\n no_such_function(); });").await;
    let page = until(site, ProbeMode::Page, "/", Condition::Failing).await;
    assert_eq!(page.fault().as_deref(), Some("a fatal error in wp-content/mu-plugins/owner.php, line 3"));
    assert_eq!(alive(site).await.condition(), Condition::Serving);
    site.write_file(PLUGIN, "<?php").await;
    assert_eq!(until(site, ProbeMode::Page, "/", Condition::Serving).await.status, 200);
    strangers_get_nothing(site, port).await;
}

async fn alive(site: &Site) -> Health {
    site.ask(ProbeMode::Alive, PROBE_PATH).await.expect("an answer")
}

/// PHP reads a changed file within two seconds.
async fn until(site: &Site, mode: ProbeMode, path: &str, condition: Condition) -> Health {
    let begun = Instant::now();
    loop {
        let health = site.ask(mode, path).await.expect("an answer");
        if health.condition() == condition || begun.elapsed().as_secs() > 10 {
            return health;
        }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The status, and the whole answer, of a request with this header.
async fn request(site: &Site, port: u16, method: &str, path: &str, header: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let host = site.want.url.authority();
    let text = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\n{PROBE_HEADER}: {header}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

async fn strangers_get_nothing(site: &Site, port: u16) {
    let key = site.probe_key();
    let url = &site.want.url;
    let header = |mode, path: &str, at, nonce: u32| {
        key.header(&Question { mode, url, path, at, nonce: &format!("{nonce:032x}") })
    };
    let good = header(ProbeMode::Alive, PROBE_PATH, now(), 1);
    assert_eq!(request(site, port, "GET", PROBE_PATH, &good).await.0, 200);
    let (forged, last) = (&good[..good.len() - 1], if good.ends_with('0') { '1' } else { '0' });
    for (why, method, path, header) in [
        ("forged", "GET", PROBE_PATH, format!("{forged}{last}")),
        ("cut off", "GET", PROBE_PATH, forged.to_owned()),
        ("no question", "GET", "/", "1".to_owned()),
        ("for another path", "GET", "/", good.clone()),
        ("of another method", "POST", PROBE_PATH, good.clone()),
        ("old", "GET", PROBE_PATH, header(ProbeMode::Alive, PROBE_PATH, now() - 100, 2)),
        ("early", "GET", PROBE_PATH, header(ProbeMode::Alive, PROBE_PATH, now() + 100, 3)),
        ("another mode", "GET", PROBE_PATH, good.replace(":alive:", ":reset:")),
    ] {
        let (status, answer) = request(site, port, method, path, &header).await;
        assert!(status == 404 && !answer.contains('<'), "{why}: {answer}");
    }
    // Some give power: they are taken once.
    let admin = header(ProbeMode::Admin, "/wp-admin/", now(), 4);
    let (status, page) = request(site, port, "GET", "/wp-admin/", &admin).await;
    assert!(status == 200 && page.contains("wpadminbar"), "{page:.500}");
    let reset = header(ProbeMode::Reset, PROBE_PATH, now(), 5);
    let (status, answer) = request(site, port, "GET", PROBE_PATH, &reset).await;
    assert!(status == 200 && answer.contains("\"reset\":true"), "{answer}");
    for (path, spent) in [("/wp-admin/", &admin), (PROBE_PATH, &reset)] {
        assert_eq!(request(site, port, "GET", path, spent).await.0, 404, "{path} again");
    }
    let page = header(ProbeMode::Page, "/", now(), 6);
    let (status, answer) = request(site, port, "GET", "/", &page).await;
    assert!(status == 200 && !answer.contains("wpadminbar") && answer.to_lowercase().contains("x-hostplane-page"));
    assert_eq!(site.get(PROBE_PATH).await.status, 404, "without a question it is a page that isn't there");
}
