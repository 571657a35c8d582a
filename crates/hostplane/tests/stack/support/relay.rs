//! A way to the Docker Engine that a test can cut.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

const ENGINE: &str = "/var/run/docker.sock";

/// Passes connections on to the Engine, unless it is cut.
pub struct Relay {
    path: PathBuf,
    cut: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<UnixStream>>>,
}

impl Relay {
    /// A relay that is cut.
    pub fn new(dir: &Path) -> Self {
        let path = dir.join("docker.sock");
        let listener = UnixListener::bind(&path).expect("a socket");
        let relay = Self { path, cut: Arc::new(AtomicBool::new(true)), open: Arc::default() };
        let (cut, open) = (Arc::clone(&relay.cut), Arc::clone(&relay.open));
        // It ends with the test's process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // Who connects to a relay that is cut is hung up on at once.
                if cut.load(Ordering::SeqCst) {
                    continue;
                }
                let _ = pass_on(client, &open);
            }
        });
        relay
    }

    /// The value of `DOCKER_HOST`.
    pub fn docker_host(&self) -> String {
        format!("unix://{}", self.path.display())
    }

    /// From now on the Engine can be reached.
    pub fn connect(&self) {
        self.cut.store(false, Ordering::SeqCst);
    }

    /// From now on it can't, and every connection breaks.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        for stream in self.open.lock().expect("no panic").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn pass_on(client: UnixStream, open: &Mutex<Vec<UnixStream>>) -> io::Result<()> {
    let engine = UnixStream::connect(ENGINE)?;
    open.lock().expect("no panic").extend([client.try_clone()?, engine.try_clone()?]);
    for (mut from, mut to) in [(client.try_clone()?, engine.try_clone()?), (engine, client)] {
        thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
    }
    Ok(())
}
