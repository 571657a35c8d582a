//! The installation's secret while the control plane runs: its generations, and the making of another.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use hostplane_domain::ids::SiteId;
use hostplane_domain::secret::{Keyring, MasterSecret, Purpose};
use secrecy::SecretString;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

/// The store of the generations. Once `add` has returned, its generation is there after a crash.
pub trait KeepSecrets: Send + Sync {
    /// Makes a random generation, and stores it.
    ///
    /// # Errors
    /// When it can't be stored: then there is none.
    fn add(&self, to: &Keyring) -> io::Result<Keyring>;
}

impl<F: Fn(&Keyring) -> io::Result<Keyring> + Send + Sync> KeepSecrets for F {
    fn add(&self, to: &Keyring) -> io::Result<Keyring> {
        self(to)
    }
}

/// The known generations. Cloning gives another handle to the same ones.
#[derive(Clone)]
pub struct Secrets {
    ring: Arc<RwLock<Keyring>>,
    keeper: Arc<dyn KeepSecrets>,
    /// One generation is made at a time.
    adding: Arc<Mutex<()>>,
}

impl Secrets {
    /// Generations and their store.
    #[must_use]
    pub fn new(ring: Keyring, keeper: Arc<dyn KeepSecrets>) -> Self {
        Self { ring: Arc::new(RwLock::new(ring)), keeper, adding: Arc::default() }
    }

    /// The present generations.
    #[must_use]
    pub fn now(&self) -> Keyring {
        // A generation is put in whole or not at all.
        self.ring.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Adds a generation, and returns its number.
    pub(crate) async fn add(&self) -> io::Result<u32> {
        let _adding = self.adding.lock().await;
        let (keeper, now) = (Arc::clone(&self.keeper), self.now());
        // Storing it waits for the disk.
        let more = spawn_blocking(move || keeper.add(&now)).await.map_err(io::Error::other)??;
        let generation = more.newest();
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = more;
        Ok(generation)
    }
}

/// The password with which a site's first administrator is installed.
pub(crate) fn admin_password(ring: &Keyring, site: SiteId, generation: u32) -> SecretString {
    /// Never raised: from the installation on, the password is WordPress's own.
    const VERSION: u32 = 1;
    of(ring, generation).site_password(Purpose::SiteAdmin, site, VERSION)
}

/// A generation that some site uses.
pub(crate) fn of(ring: &Keyring, generation: u32) -> &MasterSecret {
    ring.get(generation).expect("the engine doesn't start without a generation that a site uses")
}
