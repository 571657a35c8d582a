//! The adapter and an Engine behind TLS. Fake Engines with certificates of their own; the real one is asked by
//! the tests of the whole product.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use hostplane_domain::mark::Labels;
use hostplane_infra::containers::{Containers, Docker, Scope};
use hostplane_infra::error::Effect;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::harness::{transient, unknown};
use hostplane_testing::certificates::Authority;

const LOCAL: &str = "127.0.0.1";

/// An Engine behind TLS that answers what is asked of it with what reads as "done".
struct Engine {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Engine {
    /// With a server's three files. `lost` is the request whose answer never comes.
    async fn start(files: &Path, lost: &'static str) -> Self {
        let acceptor = TlsAcceptor::from(config(files));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (connections, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (count, log) = (Arc::clone(&connections), Arc::clone(&seen));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let (acceptor, log) = (acceptor.clone(), Arc::clone(&log));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(move |request: Request<Incoming>| {
                        let line = format!("{} {}", request.method(), request.uri().path());
                        log.lock().expect("not poisoned").push(line.clone());
                        async move { answer(&line, lost) }
                    });
                    // A client that hangs up is no failure.
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, connections, seen, task }
    }

    fn docker(&self, client: &TempDir) -> Docker {
        connect(self.address, client)
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("not poisoned").clone()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn answer(line: &str, lost: &str) -> Result<Response<Full<Bytes>>, std::io::Error> {
    if line == lost {
        return Err(std::io::Error::other("the answer is lost"));
    }
    let body = match line {
        "GET /version" => r#"{"ApiVersion":"1.41","MinAPIVersion":"1.12"}"#,
        "GET /v1.41/_ping" => "OK",
        "GET /v1.41/containers/json" => "[]",
        _ => r#"{"Volumes":[]}"#,
    };
    Ok(Response::new(Full::new(Bytes::from_static(body.as_bytes()))))
}

/// A server that asks for certificates, as `dockerd --tlsverify` does.
fn config(files: &Path) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(files.join("ca.pem")).expect("a CA")).expect("a CA");
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
    let chain = vec![CertificateDer::from_pem_file(files.join("cert.pem")).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_file(files.join("key.pem")).expect("a key");
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    Arc::new(config.with_client_cert_verifier(clients.expect("a CA")).with_single_cert(chain, key).expect("they fit"))
}

fn connect(address: SocketAddr, client: &TempDir) -> Docker {
    Docker::connect(&format!("tcp://{address}"), Some(client.path())).expect("an address with certificates")
}

/// A change that was not sent, for a reason that names the Engine.
async fn not_sent(docker: &Docker, engine: &Engine, words: &str) {
    let complaint = transient(docker.create_volume("volume", &Labels::new()).await);
    assert!(complaint.contains(&format!("tcp://{}", engine.address)) && complaint.contains(words), "{complaint}");
    assert_eq!(engine.seen(), Vec::<String>::new());
}

#[tokio::test]
async fn connections_are_kept() {
    let authority = Authority::new();
    let engine = Engine::start(authority.server(LOCAL).path(), "").await;
    let client = authority.client();
    let docker = engine.docker(&client);
    for _ in 0..5 {
        docker.ping().await.expect("both know each other");
        assert!(docker.containers(&Scope::All).await.expect("an answer").is_empty());
    }
    assert_eq!(engine.connections.load(Ordering::SeqCst), 1, "one handshake for all");
    assert_eq!(engine.seen()[..2], ["GET /version", "GET /v1.41/_ping"]);
}

#[tokio::test]
async fn only_the_ca_given_makes_an_engine_trusted() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let server = theirs.server(LOCAL);
    ours.trust(server.path());
    let engine = Engine::start(server.path(), "").await;
    not_sent(&engine.docker(&ours.client()), &engine, "was not signed by the CA in").await;
}

#[tokio::test]
async fn an_engine_of_another_name_is_refused() {
    let authority = Authority::new();
    let engine = Engine::start(authority.server("app2.example.com").path(), "").await;
    not_sent(&engine.docker(&authority.client()), &engine, "is not made out to 127.0.0.1").await;
}

#[tokio::test]
async fn an_engine_whose_certificate_has_expired_is_refused() {
    let authority = Authority::new();
    let engine = Engine::start(authority.expired_server(LOCAL).path(), "").await;
    not_sent(&engine.docker(&authority.client()), &engine, "its certificate has expired").await;
}

#[tokio::test]
async fn a_certificate_of_another_ca_is_refused_by_the_engine() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let engine = Engine::start(ours.server(LOCAL).path(), "").await;
    let client = theirs.client();
    ours.trust(client.path());
    not_sent(&engine.docker(&client), &engine, "refuses our certificate").await;
}

#[tokio::test]
async fn a_renewed_certificate_is_used_without_a_restart() {
    let authority = Authority::new();
    let engine = Engine::start(authority.server(LOCAL).path(), "").await;
    let client = authority.expired_client();
    let docker = engine.docker(&client);
    not_sent(&docker, &engine, "our certificate has expired").await;
    let renewed = authority.client();
    for name in ["cert.pem", "key.pem"] {
        fs::copy(renewed.path().join(name), client.path().join(name)).expect("a copy");
    }
    docker.ping().await.expect("the new files are read");
}

#[tokio::test]
async fn files_that_go_bad_later_are_named_and_recover() {
    let authority = Authority::new();
    let engine = Engine::start(authority.server(LOCAL).path(), "").await;
    let client = authority.client();
    let docker = engine.docker(&client);
    let (key, aside) = (client.path().join("key.pem"), client.path().join("aside.pem"));
    fs::rename(&key, &aside).expect("a file");
    not_sent(&docker, &engine, "key.pem: No such file").await;
    fs::rename(&aside, &key).expect("a file");
    docker.ping().await.expect("the files are read again");
}

#[tokio::test]
async fn a_lost_reply_leaves_a_change_unknown_and_a_read_transient() {
    let authority = Authority::new();
    let engine = Engine::start(authority.server(LOCAL).path(), "POST /v1.41/volumes/create").await;
    unknown(engine.docker(&authority.client()).create_volume("volume", &Labels::new()).await);
    let sent = engine.seen().iter().filter(|line| line.contains("/volumes/create")).count();
    assert_eq!(sent, 1, "a change is never sent twice");
    let engine = Engine::start(authority.server(LOCAL).path(), "GET /v1.41/volumes").await;
    transient(engine.docker(&authority.client()).volumes(&Scope::All).await);
}

#[tokio::test]
async fn an_absent_engine_is_transient_and_named() {
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    let complaint = transient(connect(address, &Authority::new().client()).ping().await);
    assert!(complaint.contains(&format!("tcp://{address} can't be reached: Connection refused")), "{complaint}");
}

#[tokio::test]
async fn what_does_not_speak_tls_is_named() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let plain = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut hello = [0; 1024];
        let _ = stream.read(&mut hello).await.unwrap();
        stream.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTPS request\n").await.unwrap();
    });
    let complaint = transient(connect(address, &Authority::new().client()).ping().await);
    assert!(complaint.contains("does not speak TLS"), "{complaint}");
    plain.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_unanswered_handshake_ends_before_a_ping_s_deadline() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let client = Authority::new().client();
    let docker = connect(listener.local_addr().unwrap(), &client);
    let begun = tokio::time::Instant::now();
    let asked: Effect<()> = docker.ping().await;
    assert!(transient(asked).contains("no connection within"), "it says why");
    assert!(begun.elapsed() < std::time::Duration::from_secs(3), "{:?}", begun.elapsed());
}
