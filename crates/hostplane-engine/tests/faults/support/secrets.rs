//! Secrets that must never be written, and a log to search for them.

use std::io;
use std::sync::{Arc, Mutex};

use hostplane_domain::ids::SiteId;
use hostplane_domain::secret::{MasterSecret, Purpose};
use secrecy::ExposeSecret;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

pub const MASTER: [u8; 32] = *b"\x9c\x11\xd4\x07\xe3\x5a\xb8\x62\x2f\x90\xcd\x73\x1e\xa6\x48\xf5\x0b\xda\x34\x87\x69\xc2\xfe\x15\xb0\x4d\x78\xe1\x26\x93\x5c\xaf";

/// The values of one site's secrets, and of the secret that they are derived from.
pub fn values(site: SiteId) -> Vec<String> {
    let master = MasterSecret::new(MASTER);
    let password = |purpose| master.site_password(purpose, site, 1).expose_secret().to_owned();
    let mut values = vec![password(Purpose::SiteDatabase), password(Purpose::SiteAdmin), hex::encode(MASTER)];
    values.extend(master.site_keys(site, 1, 8).iter().map(|key| key.expose_secret().to_owned()));
    values
}

/// The first secret that is found in a text.
pub fn leaked(text: &[u8], secrets: &[String]) -> Option<usize> {
    secrets.iter().position(|secret| memchr::memmem::find(text, secret.as_bytes()).is_some())
}

/// Everything that is logged on this thread, down to each call.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub fn capture() -> (Self, DefaultGuard) {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(log.clone())
            .with_ansi(false)
            .without_time()
            .with_max_level(tracing::Level::DEBUG)
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    pub fn text(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[test]
fn a_leak_is_found() {
    let secrets = values(SiteId::new(uuid::Uuid::from_u128(1)));
    assert!(secrets.iter().all(|secret| secret.len() >= 16), "none is empty or short");
    let (log, guard) = Log::capture();
    tracing::debug!(password = secrets[1], "oops");
    drop(guard);
    assert_eq!(leaked(&log.text(), &secrets), Some(1));
    assert_eq!(leaked(b"nothing", &secrets), None);
}
