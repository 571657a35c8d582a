//! A site's life: made, browsed, logged into, inspected, destroyed.

use std::time::Duration;

use serde_json::Value;

use crate::browser::Browser;
use crate::docker::{docker, inspect, names_with};
use crate::instance::Instance;

#[tokio::test]
async fn a_site_is_made_used_and_destroyed() {
    let instance = Instance::up();
    let site = instance.site("life");
    instance.create(&site);

    let shown = instance.done(&["site", "show", &site, "--json"]).json();
    assert_eq!(shown["status"], "ACTIVE");
    for resource in shown["resources"].as_array().expect("resources") {
        assert_eq!(resource["state"], "present", "{resource}");
    }
    let credentials = instance.done(&["site", "credentials", &site, "--json"]).json();
    assert_eq!(credentials["url"], format!("http://{}", instance.authority(&site)));
    let (user, password) = (text(&credentials, "user"), text(&credentials, "password"));

    browse(&instance, &site).await;
    log_in(&instance, &site, user, password).await;
    inspect_inside(&instance, &site).await;
    installer_is_denied(&instance, &site).await;
    other_names_are_not_served(&instance, &site).await;
    containers_are_confined(&site);
    tenant_is_confined(&instance, &site);
    secrets_stay_secret(&instance, &site, password);

    instance.destroy(&site);
    assert_eq!(instance.traces_of(&site), Vec::<String>::new());
    assert_eq!(Browser::new(instance.http_port).get(&site, "/").await.status, 404);
    let gone = instance.run(&["site", "show", &site]);
    assert_eq!(gone.code, 1, "{}", gone.stderr);
    log_lines_have_their_fields(&instance, &site);
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no text {key} in {value}"))
}

async fn browse(instance: &Instance, site: &str) {
    let mut browser = Browser::new(instance.http_port);
    let front = browser.get(site, "/").await;
    assert_eq!(front.status, 200);
    assert!(front.body.contains("Hello world!") && front.body.contains("</html>"), "a themed front page");
    assert!(front.body.contains(&format!("<title>{site}")), "its title is its name");
    // Every local style sheet and script of the page is there.
    let base = format!("http://{}", instance.authority(site));
    let assets: Vec<&str> = front
        .body
        .split(['"', '\''])
        .filter_map(|word| word.strip_prefix(base.as_str()))
        .filter(|path| path.contains("/wp-includes/") || path.contains("/wp-content/"))
        .collect();
    assert!(!assets.is_empty());
    for path in assets {
        assert_eq!(browser.get(site, path).await.status, 200, "{path}");
    }
    // Pretty addresses and what isn't there.
    let post = front.body.split('"').find(|word| word.contains("/hello-world/")).expect("a link to the post");
    let path = post.strip_prefix(base.as_str()).expect("a local link");
    let post = browser.get(site, path).await;
    assert_eq!((post.status, post.body.contains("Welcome to WordPress")), (200, true));
    assert_eq!(browser.get(site, "/no/such/page").await.status, 404);
    assert_eq!(browser.get(site, "/wp-json/").await.status, 200);
}

async fn log_in(instance: &Instance, site: &str, user: &str, password: &str) {
    let mut browser = Browser::new(instance.http_port);
    let form = browser.get(site, "/wp-login.php").await;
    assert!(form.status == 200 && form.body.contains("name=\"pwd\""), "the form is there");
    let fields = |password| [("log", user), ("pwd", password), ("wp-submit", "Log In"), ("testcookie", "1")];
    let wrong = browser.post(site, "/wp-login.php", &fields("wrong")).await;
    assert!(wrong.status == 200 && wrong.body.contains("login_error"), "a wrong password is refused");
    let right = browser.post(site, "/wp-login.php", &fields(password)).await;
    assert_eq!(right.status, 302, "{}", right.body);
    assert!(right.location.expect("a redirection").ends_with("/wp-admin/"));
    let dashboard = browser.get(site, "/wp-admin/").await;
    assert!(dashboard.status == 200 && dashboard.body.contains("wp-admin-bar"), "the dashboard is there");
}

/// Its logs, and programs in its container.
async fn inspect_inside(instance: &Instance, site: &str) {
    Browser::new(instance.http_port).get(site, "/no/such/page/for-the-log").await;
    // A request is logged when it has been answered, and the Engine passes the line on when it can.
    instance.until("the lines in the log", Duration::from_secs(20), |instance| {
        let log = instance.done(&["site", "logs", site, "-n", "1000", "--json"]).json();
        let lines = log["lines"].as_array().expect("lines");
        let of = |container: &str, part: &str| {
            lines.iter().any(|line| text(line, "container") == container && text(line, "text").contains(part))
        };
        of("nginx", "GET /no/such/page/for-the-log") && of("php", "ready to handle connections")
    });

    let run = |argv: &[&str]| instance.run(&[&["site", "exec", site, "--timeout", "20", "--"], argv].concat());
    let script = "require 'wp-load.php'; echo get_option('blogname'), '|', posix_getuid(), '|', getcwd();";
    let ran = run(&["php", "-r", script]);
    assert_eq!((ran.code, ran.stdout.trim_end()), (0, format!("{site}|33|/var/www/html").as_str()), "{}", ran.stderr);
    let failed = run(&["php", "-r", "fwrite(STDERR, 'no; `id` $(id)'); exit(7);"]);
    assert_eq!(failed.code, 1);
    assert!(failed.stderr.contains("no; `id` $(id)") && failed.stderr.contains("exit code 7"), "{}", failed.stderr);
    let endless = instance.run(&["site", "exec", site, "--timeout", "1", "--json", "--", "sleep", "1000"]);
    assert_eq!((endless.code, &endless.json()["timed_out"]), (1, &Value::Bool(true)), "{}", endless.stderr);
    assert!(!docker(&["top", &format!("php_{site}")]).contains("sleep"), "it is ended inside, too");
}

async fn installer_is_denied(instance: &Instance, site: &str) {
    let mut browser = Browser::new(instance.http_port);
    for path in [
        "/wp-admin/install.php",
        "/wp-admin/install.php?step=2",
        "/wp-admin/install.php/x",
        "//wp-admin//install.php",
        "/WP-ADMIN/INSTALL.PHP",
        "/wp-admin/setup-config.php",
        "/.hostplane-site",
        "/wp-content/uploads/x.php",
    ] {
        assert_eq!(browser.get(site, path).await.status, 403, "{path}");
    }
    let posted = browser.post(site, "/wp-admin/install.php?step=2", &[("user_name", "x")]).await;
    assert_eq!(posted.status, 403);
}

async fn other_names_are_not_served(instance: &Instance, site: &str) {
    let mut browser = Browser::new(instance.http_port);
    assert_eq!(browser.get("absent", "/").await.status, 404);
    // A request that reaches the container and means another site is refused there.
    let nginx = format!("nginx_{site}");
    let script = "$c = @file_get_contents('http://NGINX/', false, stream_context_create(['http' => ['ignore_errors' => true, \
                  'header' => 'X-Hostplane-Site: 00000000-0000-0000-0000-000000000000']])); echo $http_response_header[0];"
        .replace("NGINX", &nginx);
    let answer = docker(&["exec", &format!("php_{site}"), "php", "-r", &script]);
    assert!(answer.contains("421"), "{answer}");
}

fn containers_are_confined(site: &str) {
    for (name, user, memory) in [("php", "33:33", 512), ("nginx", "101:101", 192)] {
        let container = inspect("container", &format!("{name}_{site}"));
        let host = &container["HostConfig"];
        assert_eq!(container["Config"]["User"], user);
        assert_eq!(host["CapDrop"], serde_json::json!(["ALL"]));
        assert_eq!(host["CapAdd"], Value::Null);
        assert_eq!(host["Privileged"], false);
        assert!(host["SecurityOpt"].to_string().contains("no-new-privileges"));
        assert_eq!(host["ReadonlyRootfs"], true);
        assert_eq!(host["Memory"], memory * 1024 * 1024);
        assert_eq!(host["MemorySwap"], host["Memory"]);
        assert!(host["NanoCpus"].as_u64() > Some(0) && host["PidsLimit"].as_u64() > Some(0));
        assert_eq!(host["LogConfig"]["Config"]["max-size"], "10m");
        assert_eq!(host["LogConfig"]["Config"]["max-file"], "3");
        assert_eq!(host["RestartPolicy"]["Name"], "always");
        assert_eq!(container["HostConfig"]["PortBindings"].as_object().map_or(0, serde_json::Map::len), 0);
    }
    let mounts = inspect("container", &format!("nginx_{site}"))["Mounts"].clone();
    for mount in mounts.as_array().expect("mounts") {
        assert_eq!(mount["RW"], false, "nginx changes nothing: {mount}");
    }
    let network = inspect("network", &format!("site_{site}"));
    assert_eq!(network["Containers"].as_object().expect("containers").len(), 2, "PHP and nginx alone");
    assert!(network["IPAM"]["Config"][0]["Subnet"].as_str().expect("a subnet").ends_with("/29"));
    // From outside the site's network its PHP can't be reached: it has no other.
    let php = inspect("container", &format!("php_{site}"));
    let networks: Vec<&String> = php["NetworkSettings"]["Networks"].as_object().expect("networks").keys().collect();
    assert_eq!(networks, [&format!("site_{site}")]);
}

/// Rights of the site's own database user.
fn tenant_is_confined(instance: &Instance, site: &str) {
    let ask = |statement: &str| {
        let script = format!(
            "require '/etc/hostplane/wp-config.php'; mysqli_report(MYSQLI_REPORT_OFF); [$h, $p] = explode(':', DB_HOST); \
             $db = mysqli_connect($h, DB_USER, DB_PASSWORD, DB_NAME, (int) $p); \
             $r = $db->query(\"{statement}\"); echo $r === false ? $db->error : 'done';"
        );
        docker(&["exec", &format!("php_{site}"), "php", "-r", &script])
    };
    assert_eq!(ask("SELECT 1"), "done");
    assert_eq!(ask("SELECT COUNT(*) FROM wp_options"), "done");
    for denied in [
        "SELECT * FROM mysql.global_priv",
        "SELECT * FROM wp__hostplane.tenants",
        "CREATE DATABASE wp_other",
        "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1",
        "CREATE USER 'x'@'%'",
        "SELECT LOAD_FILE('/etc/passwd') INTO OUTFILE '/tmp/x'",
    ] {
        assert!(ask(denied).contains("denied"), "{denied}: {}", ask(denied));
    }
    assert_eq!(instance.sql("SELECT COUNT(*) FROM mysql.global_priv WHERE user = 'root' AND host <> 'localhost'"), "0");
}

/// Searches for every secret's value where it must not be.
fn secrets_stay_secret(instance: &Instance, site: &str, admin_password: &str) {
    let config = docker(&["exec", &format!("php_{site}"), "cat", "/etc/hostplane/wp-config.php"]);
    let value = |name: &str| {
        let (_, rest) = config.split_once(&format!("define( '{name}', '")).expect("the constant");
        rest.split_once('\'').expect("its end").0.to_owned()
    };
    let secrets = [admin_password.to_owned(), value("DB_PASSWORD"), value("AUTH_KEY"), value("NONCE_SALT")];
    let mut places = vec![("the control plane's log".to_owned(), instance.log_text())];
    for container in [format!("php_{site}"), format!("nginx_{site}"), format!("{}-mariadb", instance.tag)] {
        places.push((format!("inspect {container}"), inspect("container", &container).to_string()));
        let logs = std::process::Command::new("docker").args(["logs", &container]).output().expect("docker runs");
        places
            .push((format!("logs {container}"), String::from_utf8_lossy(&[logs.stdout, logs.stderr].concat()).into()));
    }
    places.push(("jobs".to_owned(), instance.job(site).to_string()));
    for volume in names_with(site).iter().filter_map(|name| name.strip_prefix("volume ")) {
        places.push((format!("inspect {volume}"), inspect("volume", volume).to_string()));
    }
    // The search finds what is there.
    assert!(config.contains(&secrets[1]));
    for secret in &secrets {
        assert!(secret.len() >= 28);
        for (place, text) in &places {
            assert!(!text.contains(secret), "a secret is in {place}");
        }
    }
    // Only its reader can read the file, and the tenant's own process can't change it.
    let mode = docker(&["exec", &format!("php_{site}"), "stat", "--format", "%a %u", "/etc/hostplane/wp-config.php"]);
    assert_eq!(mode, "400 33");
    // What the site's owner copies holds none of them.
    let stub = docker(&["exec", &format!("php_{site}"), "cat", "/var/www/html/wp-config.php"]);
    assert!(stub.contains("/etc/hostplane/wp-config.php") && !stub.contains(&secrets[1]));
}

fn log_lines_have_their_fields(instance: &Instance, site: &str) {
    let text = instance.log_text();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    let done: Vec<&Value> = lines.iter().filter(|line| line["message"] == "step done").collect();
    assert!(done.len() > 15, "{text}");
    for line in done {
        assert_eq!(line["site"], site);
        assert!(line["job"].is_string() && line["step"].is_string() && line["elapsed_ms"].is_number(), "{line}");
        assert!(line["operation"] == "provision" || line["operation"] == "destroy", "{line}");
    }
}

#[tokio::test]
async fn sites_are_made_at_once_and_bad_input_refused() {
    let instance = Instance::up();
    let sites = ["one", "two", "three"].map(|name| instance.site(name));
    for site in &sites {
        // Without --wait the order is taken and the next one given.
        instance.done(&[
            "site",
            "create",
            site,
            "--title",
            "Bob's \"<b>\" \\ {env.PATH} $x — ü",
            "--admin-user",
            "bob.b",
        ]);
    }
    for site in &sites {
        let job = instance.job_when(site, |job| job["state"] != "pending" && job["state"] != "running");
        assert_eq!(job["state"], "completed", "{job:#}");
        let front = Browser::new(instance.http_port).get(site, "/").await;
        assert_eq!(front.status, 200);
        assert!(
            front.body.contains("<title>Bob&#039;s &quot;&lt;b&gt;&quot; \\ {env.PATH} $x — ü</title>"),
            "{}",
            &front.body[..600]
        );
        let user = instance.done(&["site", "credentials", site, "--json"]).json()["user"].clone();
        assert_eq!(user, "bob.b");
    }
    let listed = instance.done(&["site", "list", "--json"]).json();
    assert_eq!(listed["items"].as_array().expect("items").len(), 3);

    let exists = instance.run(&["site", "create", &sites[0], "--wait"]);
    assert_eq!(exists.code, 1);
    assert!(exists.stderr.contains("exists"), "{}", exists.stderr);
    for bad in ["UPPER", "a_b", "-a", "xn--a", "www", "../x", ""] {
        assert_eq!(instance.run(&["site", "create", "--", bad]).code, 2, "{bad:?}");
    }
    assert_eq!(instance.run(&["site", "destroy", &sites[0]]).code, 2, "without a terminal it asks for --yes");
    assert_eq!(instance.run(&["site", "show", "absent-site"]).code, 1);
    let elsewhere = instance.run(&["--", "site"]);
    assert_eq!(elsewhere.code, 2);
    let unreachable = instance.run(&["site", "list", "--api", "http://127.0.0.1:1"]);
    assert_eq!(unreachable.code, 3, "{}", unreachable.stderr);
    assert_eq!(instance.done(&["site", "list", "--json"]).json()["items"].as_array().expect("items").len(), 3);
    for site in &sites {
        instance.destroy(site);
        assert_eq!(instance.traces_of(site), Vec::<String>::new());
    }
}
