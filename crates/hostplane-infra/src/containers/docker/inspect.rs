//! Facts that only inspecting one container or image shows.

use bollard::models::{HostConfig, ImageInspect, RestartPolicyNameEnum};

use crate::clock::Timestamp;
use crate::containers::{ImageFacts, Tuning};

/// Label with the time of an image's build.
const BUILT: &str = "hostplane.built";

/// Reads the settings that can change after a container's creation.
pub(super) fn tuning(config: HostConfig) -> Tuning {
    let policy = config.restart_policy.and_then(|policy| policy.name);
    Tuning {
        memory: config.memory.unwrap_or_default(),
        memory_and_swap: config.memory_swap.unwrap_or_default(),
        nano_cpus: config.nano_cpus.unwrap_or_default(),
        pids: config.pids_limit.unwrap_or_default(),
        restarts: policy == Some(RestartPolicyNameEnum::ALWAYS),
    }
}

/// Reads the facts about an image. Builds that are to be repeatable leave the Engine's own time at 1970 or before.
pub(super) fn image(found: &ImageInspect) -> ImageFacts {
    let label = found.config.as_ref().and_then(|config| config.labels.as_ref()?.get(BUILT));
    let built = [label, found.created.as_ref()].into_iter().flatten().find_map(|text| {
        let time = text.parse::<jiff::Timestamp>().ok()?.as_microsecond();
        (time > 0).then_some(Timestamp(time))
    });
    ImageFacts { built }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use bollard::models::ImageConfig;

    use super::*;

    #[test]
    fn the_label_wins_over_the_engine_s_time() {
        let built = |label: Option<&str>, created: Option<&str>| {
            let labels = label.map(|text| HashMap::from([(BUILT.to_owned(), text.to_owned())]));
            let config = Some(ImageConfig { labels, ..ImageConfig::default() });
            image(&ImageInspect { config, created: created.map(str::to_owned), ..ImageInspect::default() }).built
        };
        let (day, other) = ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00.123456789Z");
        let time = |text: &str| text.parse::<jiff::Timestamp>().map(|time| Timestamp(time.as_microsecond())).ok();
        assert_eq!(built(Some(day), Some(other)), time(day));
        assert_eq!(built(None, Some(other)), time(other));
        assert_eq!(built(Some("yesterday"), Some(other)), time(other));
        for unset in [None, Some(""), Some("0001-01-01T00:00:00Z"), Some("1970-01-01T00:00:00Z")] {
            assert_eq!(built(None, unset), None, "{unset:?}");
        }
        assert_eq!(image(&ImageInspect::default()).built, None);
    }
}
