//! `hostplane completions`.

use clap::{Args, Command, ValueEnum};
use clap_complete::{Shell, generate};

use super::failure::Failure;
use super::output;

/// Print what makes a shell complete hostplane's commands
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// For which shell
    shell: Of,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Of {
    Bash,
    Zsh,
    Fish,
}

impl Completions {
    pub fn run(&self, mut command: Command) -> Result<(), Failure> {
        let shell = match self.shell {
            Of::Bash => Shell::Bash,
            Of::Zsh => Shell::Zsh,
            Of::Fish => Shell::Fish,
        };
        let mut script = Vec::new();
        generate(shell, &mut command, "hostplane", &mut script);
        output::print(&String::from_utf8_lossy(&script))
    }
}
