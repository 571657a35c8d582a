//! `hostplane completions`.

use clap::{Args, Command, ValueEnum};
use clap_complete::{Shell, generate};

use super::failure::Failure;
use super::output;

/// Print the completion script for a shell
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    shell: SupportedShell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SupportedShell {
    Bash,
    Zsh,
    Fish,
}

impl Completions {
    pub fn run(&self, mut command: Command) -> Result<(), Failure> {
        let shell = match self.shell {
            SupportedShell::Bash => Shell::Bash,
            SupportedShell::Zsh => Shell::Zsh,
            SupportedShell::Fish => Shell::Fish,
        };
        let mut script = Vec::new();
        generate(shell, &mut command, "hostplane", &mut script);
        output::print(&String::from_utf8_lossy(&script))
    }
}
