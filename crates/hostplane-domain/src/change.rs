//! What an order changes of a site that is there: from one desired state to another.

use serde::Deserialize;

use crate::desired::{ContainerLimits, DesiredSite, SiteImages, SiteLimits};
use crate::job::OperationName;

/// One order. Applied to what a site is, it says what the site is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Other limits.
    Limits(LimitsPatch),
    /// Other images.
    Images(SiteImages),
    /// Visitors get a maintenance page, or the site again.
    Suspended(bool),
    /// New passwords and keys for what the site's containers log in with.
    Secrets,
}

impl Change {
    /// The operation that carries it out.
    #[must_use]
    pub const fn operation(&self) -> OperationName {
        match self {
            Self::Limits(_) => OperationName::Update,
            Self::Images(_) => OperationName::Upgrade,
            Self::Suspended(true) => OperationName::Suspend,
            Self::Suspended(false) => OperationName::Resume,
            Self::Secrets => OperationName::Rotate,
        }
    }

    /// What the site is to be.
    ///
    /// # Errors
    /// A limit that is out of bounds, or that others don't allow.
    pub fn apply(&self, before: &DesiredSite) -> Result<DesiredSite, BadLimits> {
        let mut after = before.clone();
        match self {
            Self::Limits(patch) => after.limits = patch.apply(&before.limits)?,
            Self::Images(images) => after.images = images.clone(),
            Self::Suspended(suspended) => after.suspended = *suspended,
            Self::Secrets => after.secret_version = before.secret_version.saturating_add(1),
        }
        Ok(after)
    }
}

/// The limits that are to change; those left out stay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsPatch {
    /// Of the PHP container.
    #[serde(default)]
    pub php: ContainerPatch,
    /// Of the nginx container.
    #[serde(default)]
    pub nginx: ContainerPatch,
    /// See [`SiteLimits::php_workers`].
    pub php_workers: Option<u16>,
    /// See [`SiteLimits::database_connections`].
    pub database_connections: Option<u16>,
    /// See [`SiteLimits::upload_mib`].
    pub upload_mib: Option<u16>,
}

/// The limits of one container that are to change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContainerPatch {
    /// See [`ContainerLimits::memory_mib`].
    pub memory_mib: Option<u32>,
    /// See [`ContainerLimits::cpu_milli`].
    pub cpu_milli: Option<u32>,
    /// See [`ContainerLimits::pids`].
    pub pids: Option<u32>,
    /// See [`ContainerLimits::log_mib`].
    pub log_mib: Option<u16>,
}

/// Why limits were refused. The message is meant for the person who asked for them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} is from {least} to {most}{because}")]
pub struct BadLimits {
    /// Which, as `php.memory_mib`.
    pub field: &'static str,
    least: u32,
    most: u32,
    because: &'static str,
}

/// Processes of a container besides PHP's workers: the master, and one to look inside.
const OTHER_PIDS: u32 = 8;
/// Memory of nginx besides its buffers of request bodies, in MiB.
const NGINX_BASE_MIB: u32 = 64;
/// Memory of one PHP worker with WordPress in it, in MiB: below it requests end in the middle.
const WORKER_MIB: u32 = 16;

impl LimitsPatch {
    fn apply(&self, before: &SiteLimits) -> Result<SiteLimits, BadLimits> {
        let after = SiteLimits {
            php: self.php.apply(before.php),
            nginx: self.nginx.apply(before.nginx),
            php_workers: self.php_workers.unwrap_or(before.php_workers),
            database_connections: self.database_connections.unwrap_or(before.database_connections),
            upload_mib: self.upload_mib.unwrap_or(before.upload_mib),
        };
        check(&after)?;
        Ok(after)
    }
}

impl ContainerPatch {
    fn apply(self, before: ContainerLimits) -> ContainerLimits {
        ContainerLimits {
            memory_mib: self.memory_mib.unwrap_or(before.memory_mib),
            cpu_milli: self.cpu_milli.unwrap_or(before.cpu_milli),
            pids: self.pids.unwrap_or(before.pids),
            log_mib: self.log_mib.unwrap_or(before.log_mib),
        }
    }
}

fn check(limits: &SiteLimits) -> Result<(), BadLimits> {
    let within = |field, value: u32, least: u32, most: u32, because| {
        if (least..=most).contains(&value) { Ok(()) } else { Err(BadLimits { field, least, most, because }) }
    };
    let (workers, upload) = (u32::from(limits.php_workers), u32::from(limits.upload_mib));
    within("php_workers", workers, 1, 256, "")?;
    within("upload_mib", upload, 1, 4096, "")?;
    let of_workers = " with so many PHP workers";
    within("database_connections", limits.database_connections.into(), workers, 1000, of_workers)?;
    within("php.memory_mib", limits.php.memory_mib, (WORKER_MIB * workers).max(64), 1 << 20, of_workers)?;
    within("php.pids", limits.php.pids, workers + OTHER_PIDS, 4096, of_workers)?;
    let buffers = " for uploads of that size: two are buffered in memory";
    within("nginx.memory_mib", limits.nginx.memory_mib, 2 * upload + NGINX_BASE_MIB, 1 << 20, buffers)?;
    within("nginx.pids", limits.nginx.pids, OTHER_PIDS, 4096, "")?;
    // 0 is no limit; more than the host has is refused by its Engine.
    within("php.cpu_milli", limits.php.cpu_milli, 0, 256_000, "")?;
    within("nginx.cpu_milli", limits.nginx.cpu_milli, 0, 256_000, "")?;
    within("php.log_mib", limits.php.log_mib.into(), 1, 1024, "")?;
    within("nginx.log_mib", limits.nginx.log_mib.into(), 1, 1024, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::tests::hello;

    fn patched(json: &str) -> Result<DesiredSite, BadLimits> {
        Change::Limits(serde_json::from_str(json).unwrap()).apply(&hello())
    }

    #[test]
    fn the_limits_that_a_site_is_made_with_are_within_bounds() {
        assert_eq!(patched("{}").unwrap(), hello());
    }

    #[test]
    fn each_change_changes_what_it_names_and_nothing_else() {
        let mut limits = hello();
        limits.limits.php.memory_mib = 1024;
        limits.limits.upload_mib = 32;
        assert_eq!(patched(r#"{"php":{"memory_mib":1024},"upload_mib":32}"#).unwrap(), limits);
        let images = SiteImages { php: "php:2".into(), nginx: "nginx:2".into() };
        let upgraded = Change::Images(images.clone()).apply(&hello()).unwrap();
        assert_eq!(upgraded, DesiredSite { images, ..hello() });
        let suspended = Change::Suspended(true).apply(&hello()).unwrap();
        assert_eq!(suspended, DesiredSite { suspended: true, ..hello() });
        assert_eq!(Change::Suspended(false).apply(&suspended).unwrap(), hello());
        let rotated = Change::Secrets.apply(&hello()).unwrap();
        assert_eq!(rotated, DesiredSite { secret_version: 2, ..hello() });
    }

    #[test]
    fn limits_out_of_bounds_are_refused_by_name() {
        for (json, field) in [
            (r#"{"php_workers":0}"#, "php_workers"),
            (r#"{"php_workers":257}"#, "php_workers"),
            (r#"{"upload_mib":0}"#, "upload_mib"),
            (r#"{"upload_mib":4097}"#, "upload_mib"),
            (r#"{"php_workers":40,"php":{"pids":100}}"#, "database_connections"),
            (r#"{"database_connections":1001}"#, "database_connections"),
            (r#"{"php":{"memory_mib":79}}"#, "php.memory_mib"),
            (r#"{"php":{"pids":12}}"#, "php.pids"),
            (r#"{"upload_mib":65}"#, "nginx.memory_mib"),
            (r#"{"nginx":{"pids":7}}"#, "nginx.pids"),
            (r#"{"php":{"cpu_milli":256001}}"#, "php.cpu_milli"),
            (r#"{"nginx":{"cpu_milli":256001}}"#, "nginx.cpu_milli"),
            (r#"{"php":{"log_mib":0}}"#, "php.log_mib"),
            (r#"{"nginx":{"log_mib":1025}}"#, "nginx.log_mib"),
        ] {
            let refused = patched(json).unwrap_err();
            assert_eq!(refused.field, field, "{json}");
            assert!(refused.to_string().starts_with(&format!("{field} is from ")), "{refused}");
        }
        for json in [r#"{"upload_mib":64}"#, r#"{"php":{"cpu_milli":0,"memory_mib":80,"pids":13}}"#] {
            patched(json).unwrap();
        }
    }

    #[test]
    fn what_isn_t_known_is_no_patch() {
        for json in [r#"{"memory":1}"#, r#"{"php":{"memory":1}}"#, r#"{"upload_mib":-1}"#, r#"{"upload_mib":"1"}"#] {
            assert!(serde_json::from_str::<LimitsPatch>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn each_change_has_an_operation_of_its_own() {
        let changes = [
            Change::Limits(LimitsPatch::default()),
            Change::Images(hello().images),
            Change::Suspended(true),
            Change::Suspended(false),
            Change::Secrets,
        ];
        let names = changes.map(|change| change.operation().as_str());
        assert_eq!(names, ["update", "upgrade", "suspend", "resume", "rotate"]);
    }
}
