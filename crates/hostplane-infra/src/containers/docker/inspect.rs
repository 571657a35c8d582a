//! Facts that only inspecting one container shows.

use bollard::models::{HostConfig, RestartPolicyNameEnum};

use crate::containers::Tuning;

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
