//! Identifiers: version 7 UUIDs that the engine makes; this crate carries and parses them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The text was not a UUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid identifier")]
pub struct BadId;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID.
            #[must_use]
            pub const fn new(id: Uuid) -> Self {
                Self(id)
            }

            /// The UUID inside.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                Uuid::try_parse(text).map(Self).map_err(|_| BadId)
            }
        }
    };
}

id!(
    /// Id of a site. Unlike the site's name, an id is never reused.
    SiteId
);
id!(
    /// Id of a job, a durable run of an operation; the `operation` of a [`Mark`](crate::mark::Mark).
    JobId
);
id!(
    /// Id of a Hostplane installation, carried by every object that the installation makes.
    InstanceId
);
id!(
    /// Id of an API token.
    TokenId
);
id!(
    /// One host: a machine with a Docker Engine that sites are placed on.
    HostId
);

impl HostId {
    /// The host of an installation that has one.
    pub const LOCAL: Self = Self::new(Uuid::nil());
}

impl Default for HostId {
    fn default() -> Self {
        Self::LOCAL
    }
}
