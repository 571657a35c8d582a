//! The adapter on an Engine that can't be reached or doesn't answer. Fake Engines on sockets of their own.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use hostplane_domain::container::ContainerSpec;
use hostplane_domain::mark::Labels;
use hostplane_infra::containers::{Containers, Docker, Exec, Scope};
use hostplane_infra::error::Rejection;
use hostplane_testing::specs;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

use super::harness::{invalid, rejected, transient, unknown};

/// A status and a body; `None` closes the connection.
type Answer = Option<(u16, String)>;

/// Answer of a fake Engine to a request line.
type Script = dyn Fn(&str) -> Answer + Send + Sync;

/// An Engine that follows a script.
struct Scripted {
    path: PathBuf,
    seen: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Scripted {
    fn start(script: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        Self::at(socket(), Arc::new(script))
    }

    fn at(path: PathBuf, script: Arc<Script>) -> Self {
        let listener = UnixListener::bind(&path).expect("a socket");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serve(stream, &*script, &log).await;
            }
        });
        Self { path, seen, task }
    }

    fn docker(&self) -> Docker {
        connect(&self.path)
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("not poisoned").clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

fn socket() -> PathBuf {
    std::env::temp_dir().join(format!("hptest-{:016x}.sock", fastrand::u64(..)))
}

fn connect(path: &std::path::Path) -> Docker {
    Docker::connect(&format!("unix://{}", path.display()), None).expect("a Unix socket")
}

async fn serve(mut stream: UnixStream, script: &Script, log: &Mutex<Vec<String>>) {
    let mut request = Vec::new();
    // The bodies of these tests are small enough to come along with the head or not to matter.
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(length) => request.extend_from_slice(&chunk[..length]),
        }
    }
    let text = String::from_utf8_lossy(&request);
    let line = text.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned();
    log.lock().expect("not poisoned").push(line.clone());
    if let Some((status, body)) = script(&line) {
        let head =
            format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n", body.len());
        let _ = stream.write_all(format!("{head}connection: close\r\n\r\n{body}").as_bytes()).await;
        let _ = stream.shutdown().await;
    }
}

/// Answers the question for the version, and leaves all else to `other`.
fn speaking(api: &'static str, other: impl Fn() -> Answer + Send + Sync) -> impl Fn(&str) -> Answer + Send + Sync {
    move |line| if line == "GET /version" { Some((200, version(api))) } else { other() }
}

fn version(api: &str) -> String {
    format!(r#"{{"ApiVersion":"{api}","MinAPIVersion":"1.12"}}"#)
}

#[tokio::test]
async fn no_socket_is_transient_for_every_call_until_there_is_one() {
    let path = socket();
    let docker = connect(&path);
    transient(docker.ping().await);
    transient(docker.containers(&Scope::All).await);
    transient(docker.create_volume("volume", &Labels::new()).await);
    transient(docker.remove_container("container").await);

    let engine = Scripted::at(path, Arc::new(speaking("1.41", || Some((200, "OK".to_owned())))));
    docker.ping().await.expect("the Engine has come");
    assert_eq!(engine.seen(), ["GET /version", "GET /v1.41/_ping"]);
}

#[tokio::test]
async fn an_engine_that_went_away_was_sent_nothing() {
    let engine = Scripted::start(speaking("1.41", || Some((200, "OK".to_owned()))));
    let docker = engine.docker();
    docker.ping().await.unwrap();
    drop(engine);
    transient(docker.create_volume("volume", &Labels::new()).await);
}

#[tokio::test]
async fn a_socket_without_a_listener_is_transient() {
    let path = socket();
    drop(UnixListener::bind(&path).expect("a socket"));
    transient(connect(&path).create_volume("volume", &Labels::new()).await);
    std::fs::remove_file(&path).expect("the socket's file stays");
}

#[tokio::test]
async fn nothing_is_sent_before_the_version_is_known() {
    let engine = Scripted::start(|_| None);
    transient(engine.docker().create_volume("volume", &Labels::new()).await);
    assert_eq!(engine.seen(), ["GET /version"]);
}

#[tokio::test]
async fn a_lost_reply_leaves_a_change_unknown_and_a_read_transient() {
    let engine = Scripted::start(speaking("1.41", || None));
    let docker = engine.docker();
    unknown(docker.create_volume("volume", &Labels::new()).await);
    unknown(docker.remove_container("container").await);
    unknown(docker.upload("container", "/data", &[]).await);
    transient(docker.volumes(&Scope::All).await);
    transient(docker.image("image").await);
    transient(docker.tuning("container").await);
    transient(docker.about().await);
    transient(docker.events().await.map(drop));
    let requests = engine.seen().iter().filter(|line| line.contains("/volumes/create")).count();
    assert_eq!(requests, 1, "a change is never sent twice");
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_leaves_a_change_unknown() {
    let engine = Scripted::start(speaking("1.41", || Some((201, "{".to_owned()))));
    unknown(engine.docker().create_volume("volume", &Labels::new()).await);
    transient(engine.docker().volumes(&Scope::All).await);
}

#[tokio::test]
async fn an_unknown_404_is_no_absence() {
    let page = r#"{"message":"page not found"}"#;
    let engine = Scripted::start(speaking("1.41", move || Some((404, page.to_owned()))));
    invalid(engine.docker().remove_volume("volume").await);
}

#[tokio::test]
async fn the_version_is_agreed_on_again_when_the_engine_was_exchanged() {
    let api = Arc::new(Mutex::new("1.41"));
    let current = Arc::clone(&api);
    let engine = Scripted::start(move |line| {
        let api = *current.lock().expect("not poisoned");
        if line == "GET /version" {
            Some((200, version(api)))
        } else if line.contains(&format!("/v{api}/")) {
            Some((200, "OK".to_owned()))
        } else {
            let message = format!("client version 1.41 is too new. Maximum supported API version is {api}");
            Some((400, format!(r#"{{"message":"{message}"}}"#)))
        }
    });
    let docker = engine.docker();
    docker.ping().await.unwrap();
    *api.lock().expect("not poisoned") = "1.40";
    transient(docker.ping().await);
    docker.ping().await.expect("the new version");
    let expected = ["GET /version", "GET /v1.41/_ping", "GET /v1.41/_ping", "GET /version", "GET /v1.40/_ping"];
    assert_eq!(engine.seen(), expected);
}

/// An Engine on which the name of a container to be made is held by one in a state.
fn with_name_held(state: &'static str, dead: bool) -> Scripted {
    let holder = "4fb1".repeat(16);
    Scripted::start(move |line| {
        let conflict =
            format!("Conflict. The container name \\\"/php_a\\\" is already in use by container \\\"{holder}\\\".");
        Some(match line {
            "GET /version" => (200, version("1.41")),
            "POST /v1.41/containers/create?name=php_a&platform=" => (409, format!(r#"{{"message":"{conflict}"}}"#)),
            _ if line.starts_with("GET /v1.41/containers/json?") => {
                (200, format!(r#"[{{"Id":"{holder}","Names":["/php_a"],"State":"{state}"}}]"#))
            }
            _ => (200, format!(r#"{{"Id":"{holder}","State":{{"Dead":{dead}}}}}"#)),
        })
    })
}

#[tokio::test]
async fn a_name_that_is_about_to_come_free_is_transient() {
    let spec = ContainerSpec { name: "php_a".to_owned(), ..specs::container() };
    let make = async |engine: &Scripted| engine.docker().create_container(&spec, &Labels::new()).await;
    transient(make(&with_name_held("removing", false)).await);
    transient(make(&with_name_held("dead", true)).await);
    for state in ["created", "running", "exited", "paused"] {
        let rejection = rejected(make(&with_name_held(state, false)).await);
        assert!(matches!(rejection, Rejection::NameTaken { what: "container", .. }), "{state}: {rejection:?}");
    }
}

#[tokio::test]
async fn an_exec_is_unknown_only_from_its_start_on() {
    let exec = Exec { argv: vec!["true".to_owned()], user: None, stdin: bytes::Bytes::from_static(b"s3cret") };
    let never_prepared = Scripted::start(speaking("1.41", || None));
    transient(never_prepared.docker().exec("php_a", &exec).await);
    let lost_at_the_start = Scripted::start(|line| match line {
        "GET /version" => Some((200, version("1.41"))),
        "POST /v1.41/containers/php_a/exec" => Some((201, r#"{"Id":"e1"}"#.to_owned())),
        _ => None,
    });
    let words = unknown(lost_at_the_start.docker().exec("php_a", &exec).await);
    assert!(!words.contains("s3cret"), "{words}");
}
