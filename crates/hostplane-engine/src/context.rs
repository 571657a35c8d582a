//! What a verb has at hand: the world, the secrets, and for whom and in which job it works.

use hostplane_domain::desired::DesiredSite;
use hostplane_domain::ids::{InstanceId, JobId};
use hostplane_domain::kind::Kind;
use hostplane_domain::mark::{Labels, Mark, Owner, SiteRef};
use hostplane_domain::secret::{Keyring, MasterSecret};
use hostplane_infra::world::World;
use secrecy::SecretString;

use crate::secrets;
use crate::settings::Pace;

/// The context of one job's verbs.
pub(crate) struct SiteCx<'a> {
    pub world: &'a World,
    pub secrets: &'a Keyring,
    pub mail_password: Option<&'a SecretString>,
    pub instance: InstanceId,
    pub site: &'a SiteRef,
    pub job: JobId,
    pub pace: Pace,
}

impl SiteCx<'_> {
    /// What the site's passwords are derived from.
    pub fn secret(&self, want: &DesiredSite) -> &MasterSecret {
        secrets::of(self.secrets, want.secret_generation)
    }

    /// The mark for what this job makes.
    pub fn mark(&self, kind: Kind, want: &DesiredSite) -> Mark {
        Mark { instance: self.instance, site: self.site.clone(), kind, job: self.job, spec: want.spec_hash(kind) }
    }

    /// Whose a thing with this mark is.
    pub fn owner_of_mark(&self, mark: Option<Mark>) -> Owner {
        Owner::judge(mark, self.instance, self.site.id)
    }

    /// Whose a thing with these labels is.
    pub fn owner(&self, labels: &Labels) -> Owner {
        self.owner_of_mark(Mark::from_labels(labels))
    }
}
