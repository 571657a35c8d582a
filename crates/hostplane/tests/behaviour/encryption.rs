//! The command line and a control plane behind a proxy with TLS.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use hostplane_testing::certificates::Authority;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::contexts::{User, ended};
use crate::harness::Harness;

/// Puts a proxy with the certificate of a directory before a control plane.
async fn proxy(certificates: &Path, to: SocketAddr) -> SocketAddr {
    let chain = CertificateDer::pem_file_iter(certificates.join("cert.pem")).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(certificates.join("key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let tls = TlsAcceptor::from(Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tls = tls.clone();
            tokio::spawn(async move {
                // A client that refuses the certificate hangs up.
                let Ok(mut stream) = tls.accept(stream).await else { return };
                let mut onward = TcpStream::connect(to).await.unwrap();
                let _ = copy_bidirectional(&mut stream, &mut onward).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn a_control_plane_behind_tls_is_used_with_its_ca() {
    let (harness, authority, user) = (Harness::running().await, Authority::new(), User::new());
    let certificates = authority.server("127.0.0.1");
    let api = format!("https://{}", proxy(certificates.path(), harness.address).await);
    let ca = certificates.path().join("ca.pem").display().to_string();
    let token = harness.home.dir().join("token").display().to_string();

    let arguments = ["site", "create", "hello", "--wait", "--api", &api, "--ca-file", &ca];
    let (code, _, err) = ended(user.command().args(arguments).env("HOSTPLANE_TOKEN", &harness.token)).await;
    assert_eq!(code, Some(0), "{err}");
    let environment = [("HOSTPLANE_API", &api), ("HOSTPLANE_CA_FILE", &ca), ("HOSTPLANE_TOKEN", &harness.token)];
    let (_, out, err) = ended(user.command().args(["site", "list"]).envs(environment)).await;
    assert!(out.contains("hello"), "{out}{err}");

    let add = ["context", "add", "it", "--api", &api, "--ca-file", &ca, "--token-file", &token];
    assert_eq!(user.run(&add).await.0, Some(0));
    let (_, out, err) = user.run(&["site", "list", "--context", "it"]).await;
    assert!(out.contains("hello"), "{out}{err}");
}

#[tokio::test]
async fn a_certificate_that_proves_nothing_ends_with_3() {
    let (harness, authority, user) = (Harness::idle().await, Authority::new(), User::new());
    let ca = user.dir.path().join("ca.pem").display().to_string();
    authority.trust(user.dir.path());
    let [good, other, expired, misnamed] = [
        authority.server("127.0.0.1"),
        Authority::new().server("127.0.0.1"),
        authority.expired_server("127.0.0.1"),
        authority.server("hostplane.example.com"),
    ];
    for (certificates, ca_file, expected) in [
        (&good, None, "--ca-file"),
        (&other, Some(&ca), "--ca-file"),
        (&expired, Some(&ca), "expired"),
        (&misnamed, Some(&ca), "not valid for name"),
    ] {
        let api = format!("https://{}", proxy(certificates.path(), harness.address).await);
        let mut command = user.command();
        command.args(["site", "list", "--api", &api]).env("HOSTPLANE_TOKEN", &harness.token);
        command.args(ca_file.map(|file| ["--ca-file", file]).into_iter().flatten());
        let (code, out, err) = ended(&mut command).await;
        assert_eq!((code, out.as_str()), (Some(3), ""), "{err}");
        assert!(err.contains(expected), "{expected}: {err}");
    }
    let api = format!("https://{}", harness.address);
    let (code, _, err) =
        ended(user.command().args(["site", "list", "--api", &api]).env("HOSTPLANE_TOKEN", &harness.token)).await;
    assert_eq!(code, Some(3), "{err}");
    assert!(err.contains("does not speak TLS"), "{err}");
}

#[tokio::test]
async fn a_token_is_not_sent_in_the_clear_unasked() {
    let user = User::new();
    let list = ["site", "list", "--api", "http://192.0.2.1:7070"];
    let (code, _, err) = ended(user.command().args(list).env("HOSTPLANE_TOKEN", "hp_x")).await;
    assert_eq!(code, Some(2), "refused before anything is sent: {err}");
    assert!(err.contains("https://") && err.contains("--plain-http") && !err.contains("hp_x"), "{err}");

    let add = ["context", "add", "it", "--api", "http://192.0.2.1:7070"];
    let (code, _, err) = ended(user.command().args(add).env("HOSTPLANE_TOKEN", "hp_x")).await;
    assert_eq!(code, Some(2), "{err}");
    let added = ended(user.command().args(add).arg("--plain-http").env("HOSTPLANE_TOKEN", "hp_x")).await;
    assert_eq!(added.0, Some(0), "{}", added.2);
    let (_, out, _) = user.run(&["context", "list", "--json"]).await;
    assert!(out.contains("\"plain_http\": true"), "{out}");
}
