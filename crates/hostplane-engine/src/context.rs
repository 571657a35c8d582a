//! The context of a verb: the world, the secrets, the site and the job.

use hostplane_domain::baseline::Baseline;
use hostplane_domain::desired::DesiredSite;
use hostplane_domain::ids::{InstanceId, JobId};
use hostplane_domain::mark::{Mark, Owner, SiteRef};
use hostplane_domain::naming::ResourceKind;
use hostplane_domain::probe_key::ProbeKey;
use hostplane_domain::secret::{Keyring, MasterSecret};
use hostplane_domain::spec_hash::SpecHash;
use hostplane_domain::wordpress::MailRelay;
use hostplane_infra::world::{HostWorld, World};
use secrecy::SecretString;

use crate::fingerprint::SpecHashes;
use crate::pace::Pace;
use crate::secrets;

/// The intent of a job's verbs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intent {
    /// A new site, which has no owner yet: its data is made.
    New,
    /// A site in service, or a scan of it: its data is its owner's, and never made or made anew.
    Change,
    /// The same, and what another release made is kept as long as it can run.
    Repair,
}

/// The context of one job's verbs.
pub(crate) struct SiteCx<'a> {
    pub world: &'a World,
    /// The host that the site is on.
    pub host: &'a HostWorld,
    pub secrets: &'a Keyring,
    /// The server that takes mail now, and its password.
    pub mail: Option<(&'a MailRelay, &'a SecretString)>,
    pub instance: InstanceId,
    pub site: &'a SiteRef,
    pub job: JobId,
    pub pace: Pace,
    pub intent: Intent,
    /// The site's answers before its change, by class.
    pub baseline: Option<&'a Baseline>,
    /// Hashes of the desired site, where a scan has kept them.
    pub hashes: Option<&'a SpecHashes>,
}

impl SiteCx<'_> {
    /// The secret that the site's passwords are derived from.
    pub fn secret(&self, want: &DesiredSite) -> &MasterSecret {
        secrets::of(self.secrets, want.secret_generation)
    }

    /// The key that signs questions to the site's WordPress.
    pub fn probe_key(&self, want: &DesiredSite) -> ProbeKey {
        self.secret(want).probe_key(self.site.id, want.secret_version)
    }

    /// The password for the server that takes the site's mail. `None` when the operator has another server now: the
    /// password is not for the site's.
    pub fn mail_password(&self, want: &DesiredSite) -> Option<&SecretString> {
        self.mail.filter(|(relay, _)| want.wordpress().mail.as_ref() == Some(*relay)).map(|(_, password)| password)
    }

    /// The mark for an object that this job makes.
    pub fn mark(&self, kind: ResourceKind, spec: SpecHash) -> Mark {
        Mark { instance: self.instance, site: self.site.clone(), kind, job: self.job, spec }
    }

    /// The owner of an object with this mark.
    pub fn owner(&self, mark: Option<&Mark>) -> Owner {
        Owner::judge(mark.cloned(), self.instance, self.site.id)
    }
}
