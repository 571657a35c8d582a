//! What only a look at one container shows.

use bollard::models::{HostConfig, RestartPolicyNameEnum};

use crate::containers::Tuning;

/// What may have been changed since the container was made.
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
