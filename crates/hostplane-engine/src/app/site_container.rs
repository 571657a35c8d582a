//! The containers of a site, as front ends name them.

use hostplane_domain::name::SiteName;
use hostplane_domain::naming::ResourceKind;
use hostplane_infra::containers::ContainerFacts;
use hostplane_infra::error::EffectError;
use hostplane_infra::world::HostWorld;

use super::{App, AppError, AppResult};
use crate::inventory::lookup;
use crate::store::SiteRecord;

/// One of a site's containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SiteContainer {
    /// PHP-FPM, with what WordPress reports.
    Php,
    /// nginx, with a line for each request.
    Nginx,
}

impl SiteContainer {
    /// Every container.
    pub const ALL: &[Self] = &[Self::Php, Self::Nginx];

    /// The stable text form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Php => "php",
            Self::Nginx => "nginx",
        }
    }

    const fn kind(self) -> ResourceKind {
        match self {
            Self::Php => ResourceKind::PhpContainer,
            Self::Nginx => ResourceKind::NginxContainer,
        }
    }
}

impl std::str::FromStr for SiteContainer {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.iter().copied().find(|container| container.as_str() == text).ok_or(())
    }
}

impl App {
    pub(super) async fn own_container(
        &self,
        record: &SiteRecord,
        which: SiteContainer,
    ) -> AppResult<Option<ContainerFacts>> {
        let host = self.host_of(record)?;
        let found = lookup::container(host, self.instance, &record.site, which.kind()).await;
        found.map_err(unanswered(&record.site.name))
    }

    /// The host of a site.
    pub(super) fn host_of(&self, record: &SiteRecord) -> AppResult<&HostWorld> {
        self.world.at(record.host()).map_err(unanswered(&record.site.name))
    }
}

pub(super) fn unanswered(name: &SiteName) -> impl Fn(EffectError) -> AppError + '_ {
    |error| AppError::Unanswered { name: name.clone(), error }
}
