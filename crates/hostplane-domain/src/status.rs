//! Status of a site and its transitions.
//!
//! ```text
//! CREATED ──provision──▶ PROVISIONING ──confirmed──▶ ACTIVE
//!    │                    │        ▲                    │
//!    └──────failed──────┐ │failed  │retry               │destroy
//!                       ▼ ▼        │                    ▼
//!                       FAILED ────┘──destroy──▶ DESTROYING ──proved──▶ DESTROYED
//! ```
//!
//! A change or a repair leaves ACTIVE as it is; collecting a resource that landed late leaves FAILED and DESTROYED as
//! they are.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Lifecycle status of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SiteStatus {
    /// Ordered; nothing exists outside yet.
    Created,
    /// A provision is under way.
    Provisioning,
    /// Confirmed by probing the site.
    Active,
    /// A provision ended without a site, and nothing of it is left.
    Failed,
    /// A destroy is under way, and can't be rolled back.
    Destroying,
    /// Nothing is left; the name is free.
    Destroyed,
}

/// Event that a site's status may allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SiteEvent {
    /// A provision job was started (or started again after a failure).
    ProvisionStarted,
    /// The site answered from outside.
    ProvisionConfirmed,
    /// The provision was rolled back and absence confirmed.
    ProvisionRolledBack,
    /// A destroy was ordered.
    DestroyStarted,
    /// Absence of every resource was confirmed.
    DestroyConfirmed,
    /// A change or a repair of an existing site begins, is confirmed, or is rolled back.
    Changed,
    /// A resource that landed late is removed.
    Collected,
}

/// The status doesn't allow the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a site that is {from} can't take the event {event:?}")]
pub struct IllegalTransition {
    /// The status before.
    pub from: SiteStatus,
    /// The event.
    pub event: SiteEvent,
}

impl SiteStatus {
    /// Every status.
    pub const ALL: &[Self] =
        &[Self::Created, Self::Provisioning, Self::Active, Self::Failed, Self::Destroying, Self::Destroyed];

    /// Applies an event: the only transition function.
    ///
    /// # Errors
    /// [`IllegalTransition`] when the status doesn't allow the event.
    pub const fn on(self, event: SiteEvent) -> Result<Self, IllegalTransition> {
        use SiteEvent as E;
        match (self, event) {
            (Self::Created | Self::Failed, E::ProvisionStarted) => Ok(Self::Provisioning),
            (Self::Provisioning, E::ProvisionConfirmed) => Ok(Self::Active),
            (Self::Created | Self::Provisioning, E::ProvisionRolledBack) => Ok(Self::Failed),
            (Self::Active | Self::Failed, E::DestroyStarted) => Ok(Self::Destroying),
            (Self::Destroying, E::DestroyConfirmed) => Ok(Self::Destroyed),
            (Self::Active, E::Changed) | (Self::Failed | Self::Destroyed, E::Collected) => Ok(self),
            (from, event) => Err(IllegalTransition { from, event }),
        }
    }

    /// The stable text form, used in the database and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Provisioning => "PROVISIONING",
            Self::Active => "ACTIVE",
            Self::Failed => "FAILED",
            Self::Destroying => "DESTROYING",
            Self::Destroyed => "DESTROYED",
        }
    }
}

impl SiteEvent {
    /// Every event.
    pub const ALL: &[Self] = &[
        Self::ProvisionStarted,
        Self::ProvisionConfirmed,
        Self::ProvisionRolledBack,
        Self::DestroyStarted,
        Self::DestroyConfirmed,
        Self::Changed,
        Self::Collected,
    ];
}

impl fmt::Display for SiteStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a site status")]
pub struct BadStatus;

impl FromStr for SiteStatus {
    type Err = BadStatus;
    fn from_str(text: &str) -> Result<Self, BadStatus> {
        Self::ALL.iter().copied().find(|status| status.as_str() == text).ok_or(BadStatus)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_listed_transitions_exist() {
        use SiteEvent as E;
        use SiteStatus as S;
        let allowed = [
            (S::Created, E::ProvisionStarted, S::Provisioning),
            (S::Failed, E::ProvisionStarted, S::Provisioning),
            (S::Provisioning, E::ProvisionConfirmed, S::Active),
            (S::Created, E::ProvisionRolledBack, S::Failed),
            (S::Provisioning, E::ProvisionRolledBack, S::Failed),
            (S::Active, E::DestroyStarted, S::Destroying),
            (S::Failed, E::DestroyStarted, S::Destroying),
            (S::Destroying, E::DestroyConfirmed, S::Destroyed),
            (S::Active, E::Changed, S::Active),
            (S::Failed, E::Collected, S::Failed),
            (S::Destroyed, E::Collected, S::Destroyed),
        ];
        for &from in S::ALL {
            for &event in E::ALL {
                let expected = allowed.iter().find(|(f, e, _)| (*f, *e) == (from, event)).map(|(_, _, to)| *to);
                assert_eq!(from.on(event).ok(), expected, "{from} {event:?}");
            }
        }
    }

    #[test]
    fn text_and_serialised_forms_agree() {
        for status in SiteStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(*status));
            assert_eq!(serde_json::to_string(status).unwrap(), format!("\"{status}\""));
        }
    }
}
