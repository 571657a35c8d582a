//! Every secret's value, in every form in which it might be written, searched wherever others could read it while
//! a site is made and after. The site's own name is the canary: it has to be found in each of these places.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use hostplane_domain::secret::{Keyring, MasterSecret, Purpose, mariadb_hash};
use hostplane_engine::platform::Platform;
use memchr::memmem::Finder;
use secrecy::ExposeSecret;

use crate::cis_benchmark::no_container_gives_a_warning;
use crate::docker::{docker, try_docker};
use crate::instance::Instance;

const BETWEEN_READS: Duration = Duration::from_millis(5);

/// Written texts, by the kind of their place.
#[derive(Default)]
struct Places(BTreeMap<&'static str, Vec<u8>>);

impl Places {
    fn add(&mut self, kind: &'static str, text: impl AsRef<[u8]>) {
        let all = self.0.entry(kind).or_default();
        all.extend_from_slice(text.as_ref());
        all.push(b'\n');
    }
}

#[test]
fn no_secret_is_written_where_others_read() {
    let mut instance = Instance::new(&[("LOG_LEVEL", "debug")]);
    instance.start();
    let site = instance.site("canary");
    let watch = Watch::begin();
    let mut bearer = Command::new("sleep").arg("600").env("CANARY", &site).spawn().expect("sleep runs");
    instance.create(&site);
    watch.until_seen(&site);
    let _ = bearer.kill();
    let _ = bearer.wait();
    let mut places = watch.end();
    no_container_gives_a_warning(&instance, &site);

    let credentials = instance.done(&["site", "credentials", &site, "--json"]).json();
    let admin = credentials["password"].as_str().expect("a password").to_owned();
    gather(&instance, &site, &mut places);
    let secrets = secrets_of(&instance, &site);
    assert!(secrets.iter().any(|(name, value)| name == "WordPress's administrator" && *value == admin.as_bytes()));
    for (kind, text) in &places.0 {
        assert!(Finder::new(&site).find(text).is_some(), "the canary is not in {kind}");
        for (name, value) in &secrets {
            assert!(value.len() >= 28, "{name} is long enough to be found by chance nowhere");
            for (form, written) in forms(value) {
                assert!(Finder::new(&written).find(text).is_none(), "{name}, {form}, is in {kind}");
            }
        }
    }
    println!("secrets: {} secrets in none of {:?}", secrets.len(), places.0.keys().collect::<Vec<_>>());
    the_search_finds_every_form(&secrets);
    // No answer repeats a token, wrong or right.
    instance.destroy(&site);
}

fn secrets_of(instance: &Instance, site: &str) -> Vec<(String, Vec<u8>)> {
    let read =
        |file: &str| fs::read_to_string(instance.home().join(file)).expect("a file of the home").trim().to_owned();
    let secret = read("secret");
    let hex = secret.strip_prefix("1 ").expect("the first generation").to_owned();
    let bytes: [u8; 32] = hex::decode(&hex).expect("digits").try_into().expect("32 bytes");
    let master = MasterSecret::new(bytes);
    let shown = instance.done(&["site", "show", site, "--json"]).json();
    let id = shown["id"].as_str().expect("an id").parse().expect("an id");
    let control = Platform::mariadb_passwords(&Keyring::new(MasterSecret::new(bytes))).remove(0);
    let mut secrets = vec![
        ("the installation's secret".to_owned(), bytes.to_vec()),
        ("the installation's secret in hex".to_owned(), hex.into_bytes()),
        ("the token".to_owned(), read("token").into_bytes()),
        ("MariaDB's control password".to_owned(), control.expose_secret().as_bytes().to_vec()),
        ("the hash of MariaDB's control password".to_owned(), mariadb_hash(&control).into_bytes()),
    ];
    for (name, purpose) in
        [("the database's user", Purpose::SiteDatabase), ("WordPress's administrator", Purpose::SiteAdmin)]
    {
        let password = master.site_password(purpose, id, 1);
        secrets.push(("the hash of ".to_owned() + name, mariadb_hash(&password).into_bytes()));
        secrets.push((name.to_owned(), password.expose_secret().as_bytes().to_vec()));
    }
    let keys = master.site_keys(id, 1, 8);
    secrets.extend(
        keys.iter().map(|key| ("WordPress's keys and salts".to_owned(), key.expose_secret().as_bytes().to_vec())),
    );
    // Derived here, and there: the same.
    let config = docker(&["exec", &format!("php_{site}"), "cat", "/etc/hostplane/wp-config.php"]);
    for (name, value) in secrets.iter().filter(|(name, _)| name == "the database's user" || name.contains("salts")) {
        assert!(config.contains(std::str::from_utf8(value).expect("text")), "{name}");
    }
    secrets
}

/// Forms in which a value may be written.
fn forms(value: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let hex = hex::encode_upper(value);
    let percent = hex.as_bytes().chunks(2).map(|digits| [b"%", digits].concat()).collect::<Vec<_>>().concat();
    let array = format!("{value:?}");
    // Within a longer text base64 begins at any of three places; what differs is cut off.
    let within = |skipped: usize| {
        let whole = [&vec![b'x'; skipped], value].concat();
        let text = BASE64_STANDARD_NO_PAD.encode(whole);
        text.as_bytes()[4..text.len() - 4].to_vec()
    };
    vec![
        ("as it is", value.to_vec()),
        ("in hex", hex.to_ascii_lowercase().into_bytes()),
        ("in upper-case hex", hex.into_bytes()),
        ("in base64", BASE64_STANDARD_NO_PAD.encode(value).into_bytes()),
        ("in base64 for URLs", BASE64_URL_SAFE_NO_PAD.encode(value).into_bytes()),
        ("within base64, at first", within(0)),
        ("within base64, at second", within(1)),
        ("within base64, at third", within(2)),
        ("URL-encoded", percent.clone()),
        ("URL-encoded in lower case", percent.to_ascii_lowercase()),
        ("as a list of bytes", array.trim_matches(['[', ']']).to_owned().into_bytes()),
    ]
}

fn the_search_finds_every_form(secrets: &[(String, Vec<u8>)]) {
    for (name, value) in secrets {
        let around = [b"ab:".as_slice(), value, b":cd"].concat();
        let written =
            [around.clone(), BASE64_STANDARD_NO_PAD.encode(&around).into_bytes(), hex::encode(&around).into()];
        for text in &written {
            assert!(forms(value).iter().any(|(_, form)| Finder::new(form).find(text).is_some()), "{name}");
        }
    }
}

fn gather(instance: &Instance, site: &str, places: &mut Places) {
    // nginx writes what it was asked into its log.
    let url = format!("http://127.0.0.1:{}/?{site}", instance.http_port);
    let host = format!("Host: {}", instance.authority(site));
    let asked = Command::new("curl").args(["--silent", "--fail", "--noproxy", "*", "--header", &host, &url]).output();
    assert!(asked.expect("curl runs").status.success());
    let containers = instance.containers();
    assert_eq!(containers.len(), 6, "{containers:?}");
    for container in &containers {
        places.add("what inspect says of containers", docker(&["inspect", container]));
        let logs = Command::new("docker").args(["logs", container]).output().expect("docker runs");
        places.add("the logs of containers", [logs.stdout, logs.stderr].concat());
        places.add("what is seen of the processes of containers", docker(&["top", container, "-eo", "pid,args"]));
    }
    // The canary of the list of processes, which names no site, is a process of a container's.
    docker(&["exec", "--detach", &format!("php_{site}"), "php", "-r", "sleep(60);", site]);
    places.add(
        "what is seen of the processes of containers",
        docker(&["top", &format!("php_{site}"), "-eo", "pid,args"]),
    );
    for (kind, place) in [("volume", "what inspect says of volumes"), ("network", "what inspect says of networks")] {
        for name in instance.names_with(&instance.tag).iter().filter_map(|name| name.strip_prefix(&format!("{kind} ")))
        {
            places.add(place, docker(&[kind, "inspect", name]));
        }
    }
    let image = format!("hostplane-test:{site}");
    let label = format!("LABEL {}", instance.label());
    docker(&["commit", "--pause=false", "--message", site, "--change", &label, &format!("nginx_{site}"), &image]);
    for image in crate::instance::images().values().chain([&image]) {
        places.add("what inspect says of images", docker(&["image", "inspect", image]));
        places.add("the history of images", docker(&["image", "history", "--no-trunc", image]));
    }
    let _ = try_docker(&["image", "rm", &image]);

    places.add("the control plane's log", instance.log_text());
    for file in ["hostplane.db", "hostplane.db-wal"] {
        places.add("the control database", fs::read(instance.home().join(file)).expect("a file of the home"));
    }
    let job = instance.job(site).to_string();
    places.add("answers of the API", job);
    for order in [["site", "show", site, "--json"].as_slice(), &["site", "list", "--json"], &["job", "list", "--json"]]
    {
        places.add("answers of the API", instance.done(order).stdout);
    }
    let api = instance.api().expect("it serves");
    let token = fs::read_to_string(instance.home().join("token")).expect("a token");
    let ask = |method: &str, path: &str, token: &str, body: &str| {
        let bearer = format!("Authorization: Bearer {}", token.trim());
        let url = format!("{api}{path}");
        let curl = ["--silent", "--include", "--noproxy", "*", "--request", method, "--header", &bearer];
        let json = ["--header", "Content-Type: application/json", "--data", body, &url];
        Command::new("curl").args(curl).args(json).output().expect("curl runs").stdout
    };
    for (method, path, body) in [
        ("POST", "/api/v1/sites".to_owned(), format!("{{\"name\":\"{site}\",\"kind\":\"wordpress\"}}")),
        ("POST", "/api/v1/sites".to_owned(), format!("{{\"name\":\"{site}\",\"password\":")),
        ("DELETE", format!("/api/v1/sites/{site}?confirm=other"), String::new()),
        ("GET", format!("/api/v1/sites/no-{site}"), String::new()),
    ] {
        let right = ask(method, &path, &token, &body);
        assert!(Finder::new("application/problem+json").find(&right).is_some(), "{}", String::from_utf8_lossy(&right));
        places.add("problems of the API", right);
        places.add("problems of the API", ask(method, &path, "hp_wrong", &body));
    }
}

/// Reads the command line and the environment of every process, again and again.
struct Watch {
    stop: Arc<AtomicBool>,
    seen: Arc<std::sync::Mutex<BTreeMap<Vec<u8>, &'static str>>>,
    thread: JoinHandle<()>,
}

impl Watch {
    fn begin() -> Self {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::<std::sync::Mutex<BTreeMap<_, _>>>::default());
        let (stopped, shared) = (Arc::clone(&stop), Arc::clone(&seen));
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::SeqCst) {
                let processes = fs::read_dir("/proc").expect("a list of processes").flatten();
                for process in processes.filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok()) {
                    for (file, kind) in [("cmdline", "command lines"), ("environ", "environments")] {
                        // It may have ended.
                        let Ok(text) = fs::read(process.path().join(file)) else { continue };
                        shared.lock().expect("no panic").entry(text).or_insert(kind);
                    }
                }
                thread::park_timeout(BETWEEN_READS);
            }
        });
        Self { stop, seen, thread }
    }

    /// Waits until the canary was seen in both.
    fn until_seen(&self, canary: &str) {
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        let finder = Finder::new(canary);
        let in_kind = |wanted: &str| {
            let seen = self.seen.lock().expect("no panic");
            seen.iter().any(|(text, kind)| *kind == wanted && finder.find(text).is_some())
        };
        while !(in_kind("command lines") && in_kind("environments")) {
            assert!(std::time::Instant::now() < deadline, "the canary is not seen");
            thread::park_timeout(BETWEEN_READS);
        }
    }

    fn end(self) -> Places {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().expect("it doesn't panic");
        let mut places = Places::default();
        for (text, kind) in self.seen.lock().expect("no panic").iter() {
            places.add(kind, text);
        }
        places
    }
}
