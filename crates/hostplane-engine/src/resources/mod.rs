//! The resources of sites, each with the three verbs and every fact about it: one file per resource, or per set of
//! like ones. The blueprints in `sites` choose among them.
//!
//! | verb | promise |
//! |---|---|
//! | `observe` | a pure comparison with a snapshot |
//! | `ensure` | makes it match; again changes nothing; returns when the change is confirmed |
//! | `remove` | makes it absent; again, or without `ensure`, is fine; touches only what is ours |
//!
//! *Invariant:* no verb touches an object whose mark is not of this instance and this site id, and an object that has
//! an id is removed by the id that was observed.

pub(crate) mod container;
pub(crate) mod database;
mod image;
pub(crate) mod network;
pub(crate) mod route;
pub(crate) mod serving;
pub(crate) mod settings_files;
pub(crate) mod volume;
pub(crate) mod wordpress_files;
pub(crate) mod wordpress_install;

use async_trait::async_trait;
use hostplane_domain::desired::DesiredSite;
use hostplane_domain::mark::{Mark, Owner};
use hostplane_domain::name::SiteName;
use hostplane_domain::naming::{self, ResourceKind};
use hostplane_domain::observed::{Difference, Observed, Reason, Remedy};
use hostplane_domain::spec_hash::SpecHash;
use hostplane_infra::error::{Effect, EffectError, Rejection};

use crate::context::SiteCx;
use crate::inventory::snapshot::{Depth, Snapshot};
use crate::inventory::{ObjectKind, ScanTargets};
use crate::pace::STEP_TRIES;

/// A resource of a site.
#[async_trait]
pub(crate) trait Resource: Send + Sync {
    /// Its kind.
    fn kind(&self) -> ResourceKind;

    /// The resources that are made before it and removed after it.
    fn needs(&self) -> &'static [ResourceKind];

    /// The object that it is outside; `None` when it lies within another resource.
    fn object(&self) -> Option<ObjectKind>;

    /// The name of that object.
    fn object_name(&self, site: &SiteName) -> String {
        naming::of(self.kind(), site)
    }

    /// The resource whose removal takes this one along, if it has no removal of its own.
    fn within(&self) -> Option<ResourceKind> {
        None
    }

    /// True when its content can't be made again: a repair never does.
    fn holds_data(&self) -> bool {
        false
    }

    /// True for a container that serves: it runs as long as its site is ACTIVE.
    fn runs(&self) -> bool {
        false
    }

    /// True when only a request, as a visitor would send it, shows the resource.
    fn is_visitors_view(&self) -> bool {
        false
    }

    /// True when WordPress itself says how the site is.
    fn asks_wordpress(&self) -> bool {
        false
    }

    /// The paths that a visitor's view is of.
    fn paths(&self) -> &'static [&'static str] {
        &[]
    }

    /// The scan that shows it.
    fn shown_by(&self) -> Depth {
        if self.object().is_some() { Depth::Shallow } else { Depth::Deep }
    }

    /// Adds the objects that a snapshot has to read for `observe`.
    fn scan_targets(&self, site: &SiteName, targets: &mut ScanTargets) {
        if let Some(kind) = self.object() {
            targets.add(kind, self.object_name(site));
        }
    }

    /// The hash of its desired state, which its mark carries.
    fn spec_hash(&self, want: &DesiredSite) -> SpecHash;

    /// Compares with a snapshot. Without `want`, only presence and owner matter.
    fn observe(&self, cx: &SiteCx<'_>, want: Option<&DesiredSite>, seen: &Snapshot) -> Observed;

    /// Makes the world match.
    async fn ensure(&self, cx: &SiteCx<'_>, want: &DesiredSite) -> Effect<()>;

    /// Most tries within one attempt of a job, while the failure may pass.
    fn tries(&self) -> u32 {
        STEP_TRIES
    }

    /// Makes it absent. A resource within another goes with that.
    async fn remove(&self, cx: &SiteCx<'_>) -> Effect<()>;

    /// The mark for the object that the present job makes.
    fn mark(&self, cx: &SiteCx<'_>, want: &DesiredSite) -> Mark {
        cx.mark(self.kind(), self.spec_hash(want))
    }
}

/// Present, and as wanted unless the mark's hash or `differs` says otherwise.
fn present(
    resource: &dyn Resource,
    cx: &SiteCx<'_>,
    owner: Owner,
    want: Option<&DesiredSite>,
    mut differs: Vec<Difference>,
) -> Observed {
    if let (Owner::Ours(mark), Some(want)) = (&owner, want) {
        let wanted = wanted_hash(resource, cx, want);
        if mark.spec != wanted {
            differs = differs.into_iter().map(Difference::of_another_release).collect();
            differs.insert(0, of_another_release("spec", wanted, mark.spec));
        }
    }
    let differs = if want.is_some() { differs } else { Vec::new() };
    Observed::Present { owner, differs }
}

/// The hash of a resource's desired state, as a scan has kept it or computed anew.
fn wanted_hash(resource: &dyn Resource, cx: &SiteCx<'_>, want: &DesiredSite) -> SpecHash {
    let kept = cx.hashes.and_then(|hashes| hashes.get(resource.kind()));
    kept.unwrap_or_else(|| resource.spec_hash(want))
}

/// The difference between the hash in a mark and the wanted one.
fn of_another_release(field: &'static str, wanted: SpecHash, found: SpecHash) -> Difference {
    let (wanted, found) = (wanted.to_string(), found.to_string());
    Difference { reason: Reason::Release, field, wanted, found, remedy: Remedy::Upgrade }
}

/// A resource without a mark of its own, within one of ours.
fn within_ours(mark: Mark, differs: Vec<Difference>) -> Observed {
    Observed::Present { owner: Owner::Ours(mark), differs }
}

/// The refusal for a name of ours that another's object holds.
fn taken(object: ObjectKind, name: &str, owner: &Owner) -> EffectError {
    Rejection::NameTaken { what: object.noun(), name: name.to_owned(), owner: owner.to_string() }.into()
}

/// The error for a name that this site's own object holds: an earlier call made it after its reply was given up.
/// Another try finds it.
fn came_late(call: &'static str, name: &str) -> EffectError {
    EffectError::transient_message(call, format!("{name} was made by an earlier call in the meantime"))
}

#[cfg(test)]
mod tests;
