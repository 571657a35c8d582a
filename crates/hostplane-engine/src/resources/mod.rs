//! What a site is made of, each with the three verbs: one file per resource, or per set of like ones.
//!
//! | verb | promise |
//! |---|---|
//! | `observe` | a pure comparison with a snapshot |
//! | `ensure` | makes it match; again changes nothing; returns when the change is confirmed |
//! | `remove` | makes it absent; again, or without `ensure`, is fine; touches only what is ours |
//!
//! *Invariant:* no verb touches anything whose mark is not of this instance and this site id, and what
//! has an id is removed by the id that was observed.

mod container;
mod database;
mod network;
mod route;
pub(crate) mod serving;
mod settings_files;
mod volume;
mod wordpress_files;
mod wordpress_install;

use async_trait::async_trait;
use hostplane_domain::desired::DesiredSite;
use hostplane_domain::drift::Reason;
use hostplane_domain::mark::{Mark, Owner};
use hostplane_domain::observed::{Difference, Observed, Remedy};
use hostplane_domain::plan::Node;
use hostplane_domain::resource_kind::ResourceKind;
use hostplane_infra::error::{Effect, EffectError, Rejection};

use crate::context::SiteCx;
use crate::inventory::snapshot::Snapshot;
use crate::pace::STEP_TRIES;

/// A kind of thing that a site is made of.
#[async_trait]
pub(crate) trait Resource: Send + Sync {
    /// Which.
    fn kind(&self) -> ResourceKind;

    /// What has to be there before it; it is removed before these.
    fn needs(&self) -> &'static [ResourceKind];

    /// The resource whose removal takes this one along, if it has no removal of its own.
    fn within(&self) -> Option<ResourceKind> {
        None
    }

    /// What is in it can't be made again: a repair never does.
    fn holds_data(&self) -> bool {
        false
    }

    /// Compares with a snapshot. Without `want`, only presence and owner matter.
    fn observe(&self, cx: &SiteCx<'_>, want: Option<&DesiredSite>, seen: &Snapshot) -> Observed;

    /// Makes the world match.
    async fn ensure(&self, cx: &SiteCx<'_>, want: &DesiredSite) -> Effect<()>;

    /// How often it is tried within one attempt of a job while its failure may pass.
    fn tries(&self) -> u32 {
        STEP_TRIES
    }

    /// Makes it absent. What is inside another goes with that.
    async fn remove(&self, cx: &SiteCx<'_>) -> Effect<()>;
}

/// Every resource of a WordPress site.
pub(crate) const RESOURCES: &[&dyn Resource] = &[
    &network::Network,
    &volume::FILES,
    &volume::PHP,
    &volume::NGINX,
    &database::Database,
    &settings_files::SettingsFiles,
    &container::PHP,
    &container::NGINX,
    &wordpress_files::WordpressFiles,
    &wordpress_install::WordpressInstall,
    &route::Route,
    &serving::Serving,
];

/// The resource of a kind.
pub(crate) fn of(kind: ResourceKind) -> &'static dyn Resource {
    let found = RESOURCES.iter().find(|resource| resource.kind() == kind);
    *found.expect("every kind has a resource: there is a test")
}

/// Every resource, observed.
pub(crate) fn observe_all(cx: &SiteCx<'_>, want: Option<&DesiredSite>, seen: &Snapshot) -> Vec<Node> {
    RESOURCES
        .iter()
        .map(|resource| Node {
            kind: resource.kind(),
            needs: resource.needs(),
            within: resource.within(),
            holds_data: resource.holds_data(),
            observed: resource.observe(cx, want, seen),
        })
        .collect()
}

/// Present, and as wanted unless the mark's spec says otherwise or something else differs.
fn present(
    cx: &SiteCx<'_>,
    owner: Owner,
    kind: ResourceKind,
    want: Option<&DesiredSite>,
    mut differs: Vec<Difference>,
) -> Observed {
    if let (Owner::Ours(mark), Some(want)) = (&owner, want) {
        let wanted = cx.spec_hash(kind, want);
        if mark.spec != wanted {
            differs.insert(
                0,
                Difference {
                    reason: Reason::Release,
                    field: "spec",
                    wanted: wanted.to_string(),
                    found: mark.spec.to_string(),
                    remedy: Remedy::Upgrade,
                },
            );
        }
    }
    let differs = if want.is_some() { differs } else { Vec::new() };
    Observed::Present { owner, differs }
}

/// A thing of no mark of its own, inside something of ours.
fn within_ours(mark: Mark, differs: Vec<Difference>) -> Observed {
    Observed::Present { owner: Owner::Ours(mark), differs }
}

/// The refusal that answers another's thing under one of our names.
fn taken(what: &'static str, name: &str, owner: &Owner) -> EffectError {
    Rejection::NameTaken { what, name: name.to_owned(), owner: owner.to_string() }.into()
}

/// The answer to a name that is taken by this site's own thing: an earlier call made it after its reply was
/// given up. Trying again finds it.
fn came_late(call: &'static str, name: &str) -> EffectError {
    EffectError::transient_message(call, format!("{name} was made by an earlier call in the meantime"))
}

#[cfg(test)]
mod tests;
