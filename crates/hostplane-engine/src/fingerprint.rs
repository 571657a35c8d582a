//! Hashes of the desired state of each resource of a site: marks carry them, and drift is detected by them.

use hostplane_domain::desired::DesiredSite;
use hostplane_domain::naming::ResourceKind;
use hostplane_domain::spec_hash::SpecHash;

/// The hashes of all of a site's resources. Hashing costs more than all comparisons with the hashes, so scans keep
/// them until the site changes.
#[derive(Debug, Clone)]
pub(crate) struct SpecHashes {
    site: SpecHash,
    resources: Vec<(ResourceKind, SpecHash)>,
}

impl SpecHashes {
    /// Keeps the hashes of a site's resources.
    pub fn new(want: &DesiredSite, resources: impl Iterator<Item = (ResourceKind, SpecHash)>) -> Self {
        Self { site: SpecHash::of(want), resources: resources.collect() }
    }

    /// True while the site is desired as it was when it was hashed.
    pub fn are_of(&self, want: &DesiredSite) -> bool {
        self.site == SpecHash::of(want)
    }

    /// The hash of one resource.
    pub fn get(&self, kind: ResourceKind) -> Option<SpecHash> {
        self.resources.iter().find(|(known, _)| *known == kind).map(|(_, hash)| *hash)
    }
}
