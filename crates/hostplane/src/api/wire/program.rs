//! Programs that run in a site's PHP container.

use hostplane_engine::app::ProgramOutput;
use serde::{Deserialize, Serialize};

/// Request to run a program.
#[derive(Debug, Serialize)]
pub(crate) struct RunProgram {
    pub argv: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u64>,
}

/// Exit code and output of a program.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ProgramResult {
    pub exit_code: i64,
    /// True if the control plane ended it at its time limit.
    pub timed_out: bool,
    /// Bytes that are not UTF-8 are replaced, here and in `stderr`.
    pub stdout: String,
    pub stderr: String,
    /// True if it printed more than the limit.
    pub truncated: bool,
}

impl From<ProgramOutput> for ProgramResult {
    fn from(ran: ProgramOutput) -> Self {
        Self {
            exit_code: ran.code,
            timed_out: ran.is_overdue,
            stdout: String::from_utf8_lossy(&ran.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&ran.stderr).into_owned(),
            truncated: ran.is_cut,
        }
    }
}
