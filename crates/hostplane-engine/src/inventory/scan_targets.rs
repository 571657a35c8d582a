//! The objects of one site that a snapshot reads. Each resource of the site's blueprint names its own.

use hostplane_domain::render::SettingsVolume;

use super::object::ObjectKind;

/// Names of the objects that a snapshot of one site reads.
#[derive(Debug, Default)]
pub(crate) struct ScanTargets {
    pub containers: Vec<String>,
    pub volumes: Vec<String>,
    pub networks: Vec<String>,
    /// Containers whose limits a deep scan reads.
    pub tuned: Vec<String>,
    /// Settings volumes with the containers through which a deep scan reads them.
    pub settings: Vec<(SettingsVolume, String)>,
    /// The PHP container through which a deep scan asks WordPress.
    pub wordpress: Option<String>,
}

impl ScanTargets {
    /// Adds an object. Databases and routes are found by the site's name.
    pub fn add(&mut self, kind: ObjectKind, name: String) {
        match kind {
            ObjectKind::Container => self.containers.push(name),
            ObjectKind::Volume => self.volumes.push(name),
            ObjectKind::Network => self.networks.push(name),
            ObjectKind::Database | ObjectKind::Route => {}
        }
    }
}
