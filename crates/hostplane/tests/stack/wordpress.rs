//! WordPress as people use it: one installation, one site that is worked on, and one that is left alone.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::browser::{Browser, Chosen, Page};
use crate::docker::{docker, inspect, try_docker};
use crate::instance::{Instance, images};

const MIB: usize = 1024 * 1024;

/// A user who is logged into a site's wp-admin.
pub struct Admin<'a> {
    pub browser: Browser,
    pub site: &'a str,
}

impl<'a> Admin<'a> {
    pub async fn log_in(instance: &Instance, site: &'a str) -> Self {
        let credentials = instance.done(&["site", "credentials", site, "--json"]).json();
        let word = |key: &str| credentials[key].as_str().expect("text").to_owned();
        let mut browser = Browser::new(instance.http_port);
        browser.get(site, "/wp-login.php").await;
        let form = [("log", &*word("user")), ("pwd", &*word("password")), ("testcookie", "1")];
        assert_eq!(browser.post(site, "/wp-login.php", &form).await.status, 302);
        Self { browser, site }
    }

    pub async fn page(&mut self, path: &str) -> Page {
        let page = self.browser.get(self.site, path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.body);
        page
    }

    /// The nonce of a form, by what is in its address.
    pub async fn nonce(&mut self, page: &str, form: &str) -> String {
        self.page(page).await.between(form, "name=\"_wpnonce\" value=\"", "\"")
    }

    pub async fn upload(&mut self, path: &str, form: &[(&str, &str)], file: &Chosen<'_>) -> Page {
        self.browser.upload(self.site, path, form, file).await
    }
}

#[tokio::test]
async fn wordpress_works_as_people_use_it() {
    let mut instance = Instance::up();
    let (site, quiet) = (instance.site("used"), instance.site("quiet"));
    instance.create(&site);
    // From here on sites get a mail server.
    instance.stop();
    let password = instance.private_file("smtp-password", &format!("{MAIL_PASSWORD}\n"));
    for (setting, value) in [
        ("SMTP_HOST", "mail.test"),
        ("SMTP_PORT", "2525"),
        ("SMTP_TLS", "none"),
        ("SMTP_USER", "sites"),
        ("SMTP_PASSWORD_FILE", &password),
        ("MAIL_FROM", "sites@example.com"),
    ] {
        instance.set(setting, value);
    }
    instance.start();
    instance.create(&quiet);
    // Memory without visitors is measured last.
    visit(&instance, &quiet).await;

    let mut admin = Admin::log_in(&instance, &site).await;
    media_up_to_the_limit_are_taken(&mut admin).await;
    a_plugin_is_uploaded_and_activated(&mut admin).await;
    a_theme_is_uploaded_and_switched_to(&mut admin).await;
    code_is_not_edited_in_the_browser(&mut admin).await;
    a_new_form_of_addresses_works_at_once(&mut admin).await;
    a_post_is_written_through_the_rest_api(&mut admin).await;
    php_runs_as_set(&site);
    site_health_finds_nothing_of_ours(&mut admin).await;
    an_event_is_run_without_visitors(&instance, &mut admin).await;

    mail_without_a_server_fails_at_once(&instance, &site).await;

    at_rest_a_site_needs_little_memory(&instance, &quiet);
    mail_goes_to_the_server(&instance, &quiet).await;
    other_sites_lack_the_mail_server_s_password(&instance, &site, &quiet);
}

/// Longer than any text that could be found by chance.
const MAIL_PASSWORD: &str = "a mail server's pass{word}";

/// Asks for a link to a new password, as a user does who has forgotten it.
async fn forget_password(instance: &Instance, site: &str) -> Page {
    let form = [("user_login", "admin"), ("redirect_to", ""), ("wp-submit", "Get New Password")];
    Browser::new(instance.http_port).post(site, "/wp-login.php?action=lostpassword", &form).await
}

async fn mail_without_a_server_fails_at_once(instance: &Instance, site: &str) {
    let begun = Instant::now();
    let page = forget_password(instance, site).await;
    assert!(page.status == 200 && page.body.contains("The email could not be sent"), "{} {}", page.status, page.body);
    assert!(begun.elapsed() < Duration::from_secs(20), "nothing was waited for: {:?}", begun.elapsed());
    let logs = Command::new("docker").args(["logs", &format!("php_{site}")]).output().expect("docker runs");
    let logs = String::from_utf8_lossy(&logs.stderr).into_owned();
    assert!(logs.contains("This site sends no mail: its host has set up no mail server."), "{logs}");
}

/// A mail server that says what it hears, on the site's own network.
const MAIL_SERVER: &str = r#"
$server = stream_socket_server('tcp://0.0.0.0:2525');
echo "listening\n";
while ($client = stream_socket_accept($server, -1)) {
    $in_letter = false;
    fwrite($client, "220 mail.test\r\n");
    while (($line = fgets($client)) !== false) {
        echo $line;
        if ($in_letter) {
            if (rtrim($line) === '.') { $in_letter = false; fwrite($client, "250 taken\r\n"); }
            continue;
        }
        $verb = strtoupper(substr($line, 0, 4));
        $in_letter = $verb === 'DATA';
        fwrite($client, match ($verb) {
            'EHLO' => "250-mail.test\r\n250 AUTH PLAIN\r\n",
            'AUTH' => "334 \r\n",
            'DATA' => "354 go on\r\n",
            'QUIT' => "221 bye\r\n",
            'MAIL', 'RCPT', 'RSET', 'NOOP' => "250 fine\r\n",
            default => "235 come in\r\n",
        });
    }
}
"#;

async fn mail_goes_to_the_server(instance: &Instance, site: &str) {
    let name = format!("{}-mail", instance.tag);
    let (label, network, image) = (instance.label(), format!("site_{site}"), images()["PHP_IMAGE"].clone());
    let run = ["run", "--detach", "--name", &name, "--label", &label, "--network", &network];
    docker(&[&run[..], &["--network-alias", "mail.test", &image, "php", "-r", MAIL_SERVER]].concat());
    let heard = || docker(&["logs", &name]);
    instance.until("the mail server listens", Duration::from_secs(30), |_| heard().contains("listening"));
    let page = forget_password(instance, site).await;
    assert_eq!(page.status, 302, "{} {}", page.body, heard());
    let heard = heard();
    // NUL, user, NUL, password, in base64.
    let logged_in = "AHNpdGVzAGEgbWFpbCBzZXJ2ZXIncyBwYXNze3dvcmR9";
    for said in [logged_in, "MAIL FROM:<sites@example.com>", "RCPT TO:<", "Password Reset", "action=rp"] {
        assert!(heard.contains(said), "{said}: {heard}");
    }
    docker(&["rm", "--force", &name]);
}

fn other_sites_lack_the_mail_server_s_password(instance: &Instance, without: &str, with: &str) {
    let hooks = |site: &str| docker(&["exec", &format!("php_{site}"), "cat", "/etc/hostplane/hostplane.php"]);
    let escaped = "a mail server\\'s pass{word}";
    assert!(hooks(with).contains(escaped) && !hooks(without).contains(escaped));
    let mode = ["exec", &format!("php_{with}"), "stat", "--format", "%a %u", "/etc/hostplane/hostplane.php"];
    assert_eq!(docker(&mode), "400 33");
    let shown = instance.done(&["site", "show", with, "--json"]).stdout;
    for (place, text) in [
        ("log", instance.log_text()),
        ("job", instance.job(with).to_string()),
        ("site", shown),
        ("container", inspect("container", &format!("php_{with}")).to_string()),
    ] {
        assert!(!text.contains(&MAIL_PASSWORD[..15]), "the password is in the {place}");
    }
    let database = std::fs::read(instance.database()).expect("the control database");
    assert!(!String::from_utf8_lossy(&database).contains(MAIL_PASSWORD), "the password is in the control database");
}

/// Front page, log-in page, dashboard.
async fn visit(instance: &Instance, site: &str) {
    Admin::log_in(instance, site).await.page("/wp-admin/").await;
    assert_eq!(Browser::new(instance.http_port).get(site, "/").await.status, 200);
}

async fn media_up_to_the_limit_are_taken(admin: &mut Admin<'_>) {
    let nonce = admin.nonce("/wp-admin/media-new.php", "media-new.php").await;
    let form = [("name", "large.txt"), ("post_id", "0"), ("_wpnonce", nonce.as_str()), ("short", "1")];
    let text = vec![b'x'; 64 * MIB + 128 * 1024];
    let file = |size| Chosen { field: "async-upload", name: "large.txt", content: &text[..size] };

    let below = admin.upload("/wp-admin/async-upload.php", &form, &file(64 * MIB)).await;
    assert_eq!(below.status, 200, "{}", below.body);
    let id: u32 = below.body.trim().parse().unwrap_or_else(|_| panic!("not the number of an upload: {}", below.body));
    let seen = admin.page(&format!("/wp-json/wp/v2/media/{id}")).await;
    let seen: serde_json::Value = serde_json::from_str(&seen.body).expect("JSON");
    assert_eq!(seen["media_details"]["filesize"], 64 * MIB, "{seen}");

    // Behind nginx's limit there is room for a form around the file, so PHP says it of what is barely too large.
    let barely = admin.upload("/wp-admin/async-upload.php", &form, &file(64 * MIB + 1)).await;
    assert!(barely.body.contains("upload_max_filesize"), "{}: {}", barely.status, barely.body);
    let above = admin.upload("/wp-admin/async-upload.php", &form, &file(text.len())).await;
    assert_eq!((above.status, above.body.trim()), (413, "This site takes files of at most 64 MB."));
}

/// A zip archive of one directory with one file, made by the site's own PHP.
fn archive(site: &str, directory: &str, file: &str, content: &str) -> Vec<u8> {
    let script = "$z = new ZipArchive; $z->open('/tmp/t.zip', ZipArchive::CREATE); \
                  $z->addFromString($argv[1] . '/' . $argv[2], $argv[3]); $z->addFromString($argv[1] . '/index.php', '<?php'); \
                  $z->close(); echo bin2hex(file_get_contents('/tmp/t.zip')); unlink('/tmp/t.zip');";
    let hex = docker(&["exec", &format!("php_{site}"), "php", "-r", script, "--", directory, file, content]);
    hex::decode(hex).expect("an archive")
}

async fn a_plugin_is_uploaded_and_activated(admin: &mut Admin<'_>) {
    let code = "<?php\n/* Plugin Name: Greeting */\n\
        add_action('wp_footer', function () { echo 'greetings-from-a-plugin'; });\n\
        add_action('greet', function () { update_option('greeted', wp_doing_cron() ? 'by the schedule' : 'by a visit'); });\n\
        add_action('init', function () { isset($_GET['greet-soon']) && wp_schedule_single_event(time() + 3, 'greet'); });";
    let archive = archive(admin.site, "greeting", "greeting.php", code);
    let nonce = admin.nonce("/wp-admin/plugin-install.php?tab=upload", "action=upload-plugin").await;
    let form = [("_wpnonce", nonce.as_str()), ("install-plugin-submit", "Install Now")];
    let file = Chosen { field: "pluginzip", name: "greeting.zip", content: &archive };
    let installed = admin.upload("/wp-admin/update.php?action=upload-plugin", &form, &file).await;
    assert!(installed.body.contains("Plugin installed successfully"), "{}: {}", installed.status, installed.body);
    let link = installed.between("Plugin installed", "href=\"plugins.php?action=activate", "\"");
    let path = format!("/wp-admin/plugins.php?action=activate{link}");
    assert_eq!(admin.browser.get(admin.site, &path).await.status, 302);
    assert!(admin.page("/").await.body.contains("greetings-from-a-plugin"), "the plugin is at work");
}

async fn a_theme_is_uploaded_and_switched_to(admin: &mut Admin<'_>) {
    let archive = archive(admin.site, "plain", "style.css", "/*\nTheme Name: Plain\n*/");
    let nonce = admin.nonce("/wp-admin/theme-install.php?upload", "action=upload-theme").await;
    let form = [("_wpnonce", nonce.as_str()), ("install-theme-submit", "Install Now")];
    let file = Chosen { field: "themezip", name: "plain.zip", content: &archive };
    let installed = admin.upload("/wp-admin/update.php?action=upload-theme", &form, &file).await;
    assert!(installed.body.contains("Theme installed successfully"), "{}: {}", installed.status, installed.body);
    // Its front page is an empty file: there and back again.
    for (theme, title) in [("plain", false), ("twentytwentyfive", true)] {
        let themes = admin.page("/wp-admin/themes.php").await;
        let start = format!("themes.php?action=activate&stylesheet={theme}&_wpnonce=");
        let nonce = themes.between("<body", &start, "\"");
        let path = format!("/wp-admin/themes.php?action=activate&stylesheet={theme}&_wpnonce={nonce}");
        assert_eq!(admin.browser.get(admin.site, &path).await.status, 302, "{theme}");
        assert_eq!(admin.page("/").await.body.contains("<title>"), title, "{theme}");
    }
}

async fn code_is_not_edited_in_the_browser(admin: &mut Admin<'_>) {
    for editor in ["/wp-admin/plugin-editor.php", "/wp-admin/theme-editor.php"] {
        assert_eq!(admin.browser.get(admin.site, editor).await.status, 403, "{editor}");
    }
}

async fn a_new_form_of_addresses_works_at_once(admin: &mut Admin<'_>) {
    let nonce = admin.nonce("/wp-admin/options-permalink.php", "options-permalink.php").await;
    let form = [("_wpnonce", nonce.as_str()), ("selection", "/%postname%/"), ("permalink_structure", "/%postname%/")];
    let saved = admin.browser.post(admin.site, "/wp-admin/options-permalink.php", &form).await;
    assert_eq!(saved.status, 302, "{}", saved.body);
    // As a browser does: the page writes the rules.
    let location = saved.location.expect("a redirection");
    admin.page(&format!("/wp-admin/{}", location.rsplit_once('/').map_or(&*location, |(_, page)| page))).await;
    assert!(admin.page("/hello-world/").await.body.contains("Welcome to WordPress"));
}

async fn a_post_is_written_through_the_rest_api(admin: &mut Admin<'_>) {
    let post = r#"{"title":"Written by REST","status":"publish","content":"by cookie and nonce"}"#;
    let refused = admin.browser.post_json(admin.site, "/wp-json/wp/v2/posts", post, &[]).await;
    assert_eq!(refused.status, 401, "a cookie alone is not enough: {}", refused.body);
    let nonce = admin.page("/wp-admin/admin-ajax.php?action=rest-nonce").await.body;
    let headers = [("X-WP-Nonce", nonce.trim())];
    let written = admin.browser.post_json(admin.site, "/wp-json/wp/v2/posts", post, &headers).await;
    assert_eq!(written.status, 201, "{}", written.body);
    assert!(admin.page("/written-by-rest/").await.body.contains("by cookie and nonce"));
}

/// Findings of Site Health that are expected on a machine that reaches neither wordpress.org nor a certificate, and is busy.
const NOT_OURS: [&str; 2] = ["dotorg_communication", "page_cache"];

/// The tests that wp-admin's page asks for one by one, and those that it brings along.
async fn site_health_finds_nothing_of_ours(admin: &mut Admin<'_>) {
    let nonce = admin.page("/wp-admin/admin-ajax.php?action=rest-nonce").await.body;
    let mut findings: Vec<serde_json::Value> = Vec::new();
    for test in [
        "background-updates",
        "loopback-requests",
        "https-status",
        "dotorg-communication",
        "authorization-header",
        "page-cache",
    ] {
        let path = format!("/wp-json/wp-site-health/v1/tests/{test}");
        // user:pwd, which WordPress's own page sends.
        let headers = [("X-WP-Nonce", nonce.trim()), ("Authorization", "Basic dXNlcjpwd2Q=")];
        let found = admin.browser.get_with(admin.site, &path, &headers).await;
        assert_eq!(found.status, 200, "{test}: {}", found.body);
        findings.push(serde_json::from_str(&found.body).expect("JSON"));
    }
    let page = admin.page("/wp-admin/site-health.php").await;
    let (_, json) = page.body.split_once("var SiteHealth = ").expect("the findings");
    let json = serde_json::Deserializer::from_str(json).into_iter::<serde_json::Value>().next();
    let direct = json.expect("a value").expect("JSON")["site_status"]["direct"].clone();
    findings.extend(direct.as_array().expect("findings").iter().cloned());
    assert!(findings.len() > 20, "{findings:#?}");
    let of = |test: &str| findings.iter().find(|found| found["test"] == test).unwrap_or_else(|| panic!("no {test}"));
    for ours in ["loopback_requests", "rest_availability", "authorization_header", "scheduled_events", "file_uploads"] {
        assert_eq!(of(ours)["status"], "good", "{:#}", of(ours));
    }
    for found in &findings {
        let test = found["test"].as_str().expect("a name");
        assert!(found["status"] != "critical" || NOT_OURS.contains(&test), "{found:#}");
    }
}

/// No visitor comes to the site meanwhile.
async fn an_event_is_run_without_visitors(instance: &Instance, admin: &mut Admin<'_>) {
    // WordPress loses what is scheduled while a run writes its list back: the first runs come to their end.
    let first = "SELECT SUBSTR(REGEXP_SUBSTR(option_value, 'i:[0-9]+'), 3) > UNIX_TIMESTAMP() \
                 FROM `wp_SITE`.wp_options WHERE option_name = 'cron'";
    let first = first.replace("SITE", admin.site);
    instance.until("nothing is due", Duration::from_mins(2), |instance| instance.sql(&first) == "1");
    admin.page("/?greet-soon").await;
    let sql = "SELECT option_value FROM `wp_SITE`.wp_options WHERE option_name = 'greeted'".replace("SITE", admin.site);
    assert_eq!(instance.sql(&sql), "", "it isn't due yet");
    instance.until("an event is run", Duration::from_mins(2), |instance| instance.sql(&sql) == "by the schedule");
}

/// PHP-FPM's own report of its settings, not its files.
fn php_runs_as_set(site: &str) {
    let script = "<?php foreach (['memory_limit', 'max_execution_time', 'post_max_size', 'upload_max_filesize', \
                  'max_input_vars', 'opcache.memory_consumption', 'opcache.jit'] as $k) echo ini_get($k), ' '; \
                  echo opcache_get_status(false)['opcache_enabled'] ? 'cached' : 'not cached';";
    let put = "file_put_contents('/var/www/html/asked.php', $argv[1]);";
    docker(&["exec", &format!("php_{site}"), "php", "-r", put, "--", script]);
    let ask = "echo file_get_contents('http://localhost/asked.php', false, \
               stream_context_create(['http' => ['header' => 'X-Hostplane-Site: ' . $argv[1]]]));";
    let id = docker(&["inspect", "--format", "{{index .Config.Labels \"hostplane.site-id\"}}", &format!("php_{site}")]);
    let ask = ask.replace("localhost", &format!("nginx_{site}"));
    let answer = docker(&["exec", &format!("php_{site}"), "php", "-r", &ask, "--", &id]);
    assert_eq!(answer, "256M 60 65600K 64M 3000 64 disable cached");
}

/// Memory of a container that belongs to its processes, or that they share, in bytes: no cache of files.
fn memory_of(container: &str) -> u64 {
    let read = |file| try_docker(&["exec", container, "cat", file]);
    let stat = read("/sys/fs/cgroup/memory/memory.stat").or_else(|_| read("/sys/fs/cgroup/memory.stat"));
    let stat = stat.expect("a container's own figures");
    let value = |names: &[&str]| -> u64 {
        let of = |line: &str| {
            let (name, value) = line.split_once(' ')?;
            names.contains(&name).then(|| value.parse::<u64>().expect("a number"))
        };
        stat.lines().filter_map(of).sum()
    };
    value(&["rss", "anon"]) + value(&["shmem"])
}

fn at_rest_a_site_needs_little_memory(instance: &Instance, site: &str) {
    let used = || memory_of(&format!("php_{site}")) + memory_of(&format!("nginx_{site}"));
    println!("just visited: {} MB", used() / 1_000_000);
    instance.until("a site at rest needs at most 48 MB", Duration::from_mins(1), |_| used() <= 48_000_000);
    println!("at rest: {} MB", used() / 1_000_000);
}
