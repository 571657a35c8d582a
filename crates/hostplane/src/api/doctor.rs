//! `/doctor`: checks of the installation and of every site; each finding says what to type.

use std::io;
use std::path::Path;

use axum::Json;
use axum::extract::State;
use hostplane_engine::app::{Finding, Severity};

use super::extract::Params;
use super::problem::ApiResult;
use super::state::Api;
use super::wire::DoctorReport;

/// Free bytes below which the home's disk is nearly full. A job writes some kilobytes; a full disk stops all jobs.
const NEARLY_FULL: u64 = 1024 * 1024 * 1024;
/// Free bytes below which writes fail, now or soon.
const FULL: u64 = 64 * 1024 * 1024;

pub(super) async fn examine(State(api): State<Api>, params: Params) -> ApiResult<Json<DoctorReport>> {
    params.only(&[])?;
    let mut findings = api.app.examine().await?;
    if let Some(home) = &api.home {
        findings.insert(1, disk(home, free(home)));
    }
    if let Some(obstacle) = api.platform.error() {
        findings.insert(1, platform(&obstacle));
    }
    Ok(Json(findings.into()))
}

/// Bytes that a process other than root can still write.
fn free(path: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(path)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

fn disk(home: &Path, free: io::Result<u64>) -> Finding {
    let hint = format!("df -h {}; then make room there", home.display());
    match free {
        Ok(free) => {
            let message = format!("{} MiB are free for the control database", free / 1024 / 1024);
            match free {
                0..FULL => Finding::bad("disk", Severity::Error, format!("{message}: no job goes on"), hint),
                FULL..NEARLY_FULL => Finding::bad("disk", Severity::Warning, message, hint),
                NEARLY_FULL.. => Finding::ok("disk", message),
            }
        }
        Err(error) => Finding::bad("disk", Severity::Error, format!("the free space can't be read: {error}"), hint),
    }
}

/// Finding of a platform that `up` has not made yet.
fn platform(obstacle: &str) -> Finding {
    let message = format!("network, guard, MariaDB and Caddy are not up yet: {obstacle}");
    Finding::bad("platform", Severity::Error, message, "remove the cause; `hostplane up` tries again by itself")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_fills_up_is_reported() {
        let severity = |free| disk(Path::new("/home"), free).severity;
        assert_eq!(severity(Ok(NEARLY_FULL)), Severity::Ok);
        assert_eq!(severity(Ok(NEARLY_FULL - 1)), Severity::Warning);
        assert_eq!(severity(Ok(FULL - 1)), Severity::Error);
        let unknown = disk(Path::new("/home"), Err(io::Error::other("no such disk")));
        assert_eq!(unknown.severity, Severity::Error);
        assert!(unknown.message.contains("no such disk") && unknown.hint.unwrap().contains("df -h /home"));
    }

    #[test]
    fn there_is_room_where_tests_run() {
        assert!(free(Path::new("/")).unwrap() > 0);
        free(Path::new("/nowhere/at/all")).unwrap_err();
    }
}
