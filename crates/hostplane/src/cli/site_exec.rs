//! `hostplane site exec`.

use std::io::{self, IsTerminal, Read, Write};

use clap::Args;
use hostplane_domain::name::SiteName;
use hostplane_domain::program::LONGEST_RUN;

use super::failure::Failure;
use super::output::OutputFormat;
use super::printable::printable;
use super::target::Target;
use crate::api::extract::BODY_LIMIT;
use crate::api::wire::{ProgramResult, RunProgram};
use crate::config::layers::Layers;

/// Run a program in a site's PHP container, as the site's own user, in WordPress's directory
///
/// No shell is involved. The exit code is 0 if the program's is 0, else 1, and a message names it.
#[derive(Debug, Args)]
pub(super) struct Exec {
    /// Name of the site
    name: SiteName,
    /// Pass on standard input, to its end
    #[arg(long, short = 'i')]
    stdin: bool,
    /// End the program after this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = LONGEST_RUN.as_secs(),
          value_parser = clap::value_parser!(u64).range(1..=LONGEST_RUN.as_secs()))]
    timeout: u64,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    argv: Vec<String>,
    #[command(flatten)]
    format: OutputFormat,
    #[command(flatten)]
    target: Target,
}

impl Exec {
    pub async fn run(self, layers: &Layers) -> Result<(), Failure> {
        let client = self.target.client(layers)?;
        let stdin = self.stdin.then(read_stdin).transpose()?;
        let run = RunProgram { argv: self.argv, stdin, timeout_s: Some(self.timeout) };
        let path = format!("/api/v1/sites/{}/exec", self.name);
        let end: ProgramResult = client.post(&path, Some(&run)).await?;
        if self.format.json {
            self.format.print(&end, |_| String::new())?;
        } else {
            pass_on(io::stdout(), &end.stdout)?;
            pass_on(io::stderr(), &end.stderr)?;
        }
        if end.truncated {
            eprintln!("hostplane: the program printed more than is kept; the rest is left out");
        }
        match end.exit_code {
            0 => Ok(()),
            _ if end.timed_out => Err(Failure::Failed(format!("the program was ended after {} s", self.timeout))),
            code => Err(Failure::Failed(format!("the program ended with exit code {code}"))),
        }
    }
}

/// Writes a text unchanged, or without control characters if it goes to a terminal.
fn pass_on(mut to: impl Write + IsTerminal, text: &str) -> Result<(), Failure> {
    let text = if to.is_terminal() { printable(text) } else { text.to_owned() };
    match to.write_all(text.as_bytes()).and_then(|()| to.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::Unread),
        other => other.map_err(|error| Failure::Failed(format!("can't write the output: {error}"))),
    }
}

fn read_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    // The limit of the body is also the input's, so nothing longer need be read.
    let read = io::stdin().lock().take(BODY_LIMIT as u64).read_to_string(&mut text);
    read.map_err(|error| Failure::Usage(format!("can't read standard input as text: {error}")))?;
    Ok(text)
}
