//! Times, as texts.

use hostplane_infra::clock::Timestamp;

pub(super) fn time(at: Timestamp) -> String {
    at.to_string()
}
