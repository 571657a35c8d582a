//! Requests for a scan, each answered when the scan and the checks that follow from it have ended.

use std::collections::BTreeSet;

use hostplane_domain::ids::SiteId;
use tokio::sync::oneshot;

use super::full_scan::ScanResult;

/// Request for a full scan.
pub(crate) struct ScanRequest {
    /// Requests a deep scan of every site, too.
    pub deep: bool,
    /// Completed at the end of the scan and its checks.
    pub done: oneshot::Sender<()>,
}

struct PendingRequest {
    request: ScanRequest,
    /// Sites still to be checked; `None` until a full scan for this request has begun.
    unchecked: Option<BTreeSet<SiteId>>,
}

/// Requests that are not answered yet.
#[derive(Default)]
pub(super) struct PendingRequests(Vec<PendingRequest>);

impl PendingRequests {
    pub fn add(&mut self, request: ScanRequest) {
        self.0.push(PendingRequest { request, unchecked: None });
    }

    /// Assigns all new requests to the full scan that begins now. True if one of them wants a deep scan.
    pub fn begin_scan(&mut self) -> bool {
        let mut is_deep = false;
        for pending in self.0.iter_mut().filter(|pending| pending.unchecked.is_none()) {
            is_deep |= pending.request.deep;
            pending.unchecked = Some(BTreeSet::new());
        }
        is_deep
    }

    /// Adds the sites to check after the full scan to the requests that it was for.
    pub fn end_scan(&mut self, result: &ScanResult) {
        for PendingRequest { request, unchecked } in &mut self.0 {
            if let Some(unchecked) = unchecked {
                unchecked.extend(result.suspects.iter().chain(result.deep.iter().filter(|_| request.deep)));
            }
        }
    }

    pub fn site_checked(&mut self, site: SiteId) {
        for unchecked in self.0.iter_mut().filter_map(|pending| pending.unchecked.as_mut()) {
            unchecked.remove(&site);
        }
    }

    /// Answers requests with no site left to check. No full scan may be under way: it could add sites.
    pub fn answer(&mut self) {
        let is_done = |pending: &mut PendingRequest| pending.unchecked.as_ref().is_some_and(BTreeSet::is_empty);
        for done in self.0.extract_if(.., is_done) {
            // A requester whose wait has ended is gone.
            let _ = done.request.done.send(());
        }
    }

    /// Drops requests whose requester is gone.
    pub fn drop_abandoned(&mut self) {
        self.0.retain(|pending| !pending.request.done.is_closed());
    }
}
