//! Identifiers. They are made by the engine (version 7 UUIDs) and only carried and parsed here.

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
    /// One site, for ever: never reused, unlike its name.
    SiteId
);
id!(
    /// One job: a durable run of an operation. It is the `operation` of a [`Mark`](crate::mark::Mark).
    JobId
);
id!(
    /// One Hostplane installation: everything that it makes carries this.
    InstanceId
);
id!(
    /// One token of the API.
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
