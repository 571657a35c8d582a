//! The command line. Every command is on this page; the file of each has its options and its work.

mod completions;
mod context_add;
mod context_list;
mod context_remove;
mod context_use;
mod doctor;
mod drift;
mod failure;
mod job_cancel;
mod job_list;
mod job_request;
mod job_retry;
mod job_show;
mod job_watch;
mod orphan_list;
mod orphan_remove;
mod output;
mod printable;
mod progress;
mod reconcile;
mod secret_rotate;
mod secret_show;
mod site_action;
mod site_create;
mod site_credentials;
mod site_destroy;
mod site_exec;
mod site_list;
mod site_logs;
mod site_show;
mod site_update;
mod site_upgrade;
mod target;
mod token_create;
mod token_list;
mod token_revoke;
mod wait;

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use tracing::warn;

use self::failure::Failure;
use crate::config::layers::Layers;
use crate::config::{Config, Settings, env_file};
use crate::{clean, down, logging, serve};

/// Self-hosted WordPress hosting.
///
/// Exit codes: 0 done, 1 the operation failed, 2 bad usage, 3 the control plane cannot be reached.
#[derive(Parser)]
#[command(name = "hostplane", version)]
struct Cli {
    /// File with settings, as lines of KEY=VALUE; may be repeated, and a later file wins. The environment
    /// wins over files, flags win over both.
    #[arg(long, global = true, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the control plane with a platform that exists
    Serve(Box<Settings>),
    /// Make the platform (network, MariaDB, Caddy), then run the control plane
    Up(Box<Settings>),
    /// Stop this installation's containers; data stays
    Down(Box<Settings>),
    /// Remove every trace of this installation from Docker
    Clean(Box<Clean>),
    /// Create, show, change and destroy sites
    #[command(subcommand)]
    Site(SiteCommand),
    /// Show, cancel and retry jobs
    #[command(subcommand)]
    Job(JobCommand),
    Doctor(doctor::Doctor),
    Drift(drift::Show),
    Reconcile(reconcile::Reconcile),
    /// List and remove orphaned resources
    #[command(subcommand)]
    Orphan(OrphanCommand),
    /// Create, list and revoke tokens of the API
    #[command(subcommand)]
    Token(TokenCommand),
    /// Show and rotate the installation's secret
    #[command(subcommand)]
    Secret(SecretCommand),
    /// Name control planes, and choose the one to use
    #[command(subcommand)]
    Context(ContextCommand),
    Completions(completions::Completions),
}

#[derive(clap::Args)]
struct Clean {
    /// Don't ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Subcommand)]
enum SiteCommand {
    Create(site_create::Create),
    List(site_list::List),
    Show(site_show::Show),
    Credentials(site_credentials::Show),
    Update(site_update::Update),
    Upgrade(site_upgrade::Upgrade),
    /// Show visitors a maintenance page instead of the site
    Suspend(site_action::SiteAction),
    /// Show visitors the site again
    Resume(site_action::SiteAction),
    /// Give a site a new database password and new keys; its users have to log in again
    Rotate(site_action::SiteAction),
    Logs(site_logs::Logs),
    Exec(site_exec::Exec),
    Destroy(site_destroy::Destroy),
}

#[derive(Subcommand)]
enum JobCommand {
    List(job_list::List),
    Show(job_show::Show),
    Watch(job_watch::Watch),
    Cancel(job_cancel::Cancel),
    Retry(job_retry::Retry),
}

#[derive(Subcommand)]
enum OrphanCommand {
    List(orphan_list::List),
    Remove(orphan_remove::Remove),
}

#[derive(Subcommand)]
enum TokenCommand {
    Create(token_create::Create),
    List(token_list::List),
    Revoke(token_revoke::Revoke),
}

#[derive(Subcommand)]
enum SecretCommand {
    Show(secret_show::Show),
    Rotate(secret_rotate::Rotate),
}

#[derive(Subcommand)]
enum ContextCommand {
    Add(context_add::Add),
    List(context_list::List),
    Use(context_use::Use),
    Remove(context_remove::Remove),
}

/// Variables that belong to no argument.
const OTHER_VARIABLES: [&str; 5] =
    ["HOSTPLANE_API", "HOSTPLANE_CA_FILE", "HOSTPLANE_CONTEXT", "HOSTPLANE_PLAIN_HTTP", "HOSTPLANE_TOKEN"];

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().collect();
    match start(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn start(arguments: &[OsString]) -> Result<(), Failure> {
    let (cli, layers) = parse(arguments)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("can't start: {error}")))?;
    runtime.block_on(run(cli.command, &layers))
}

fn parse(arguments: &[OsString]) -> Result<(Cli, Layers), Failure> {
    let files = env_file::named_in(arguments);
    let files = env_file::read(&files).map_err(|error| Failure::Usage(hostplane_infra::error::chain(&error)))?;
    // Hostplane has no variable whose name isn't UTF-8.
    let environment = env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect();
    let layers = Layers { environment, files };
    let matches = layers.apply(Cli::command()).try_get_matches_from(arguments)?;
    Ok((Cli::from_arg_matches(&matches)?, layers))
}

async fn run(command: Command, layers: &Layers) -> Result<(), Failure> {
    match command {
        Command::Serve(settings) => Ok(Box::pin(serve::serve(configure(*settings, layers)?)).await?),
        Command::Up(settings) => Ok(Box::pin(serve::up(configure(*settings, layers)?)).await?),
        Command::Down(settings) => Ok(down::down(&configure(*settings, layers)?).await?),
        Command::Clean(arguments) => {
            let config = configure(arguments.settings, layers)?;
            if !arguments.yes {
                let question = format!(
                    "This removes every site of this installation ({}) with its files and databases.\nType yes: ",
                    config.home().display()
                );
                output::confirm(&question, "yes")?;
            }
            Ok(clean::clean(&config).await?)
        }
        Command::Site(SiteCommand::Create(command)) => command.run(layers).await,
        Command::Site(SiteCommand::List(command)) => command.run(layers).await,
        Command::Site(SiteCommand::Update(command)) => command.run(layers).await,
        Command::Site(SiteCommand::Upgrade(command)) => command.run(layers).await,
        Command::Site(SiteCommand::Suspend(command)) => command.run(layers, "suspend").await,
        Command::Site(SiteCommand::Resume(command)) => command.run(layers, "resume").await,
        Command::Site(SiteCommand::Rotate(command)) => command.run(layers, "rotate").await,
        Command::Site(SiteCommand::Show(command)) => command.run(layers).await,
        Command::Site(SiteCommand::Credentials(command)) => command.run(layers).await,
        Command::Site(SiteCommand::Logs(command)) => command.run(layers).await,
        Command::Site(SiteCommand::Exec(command)) => command.run(layers).await,
        Command::Site(SiteCommand::Destroy(command)) => command.run(layers).await,
        Command::Job(JobCommand::List(command)) => command.run(layers).await,
        Command::Job(JobCommand::Show(command)) => command.run(layers).await,
        Command::Job(JobCommand::Watch(command)) => command.run(layers).await,
        Command::Job(JobCommand::Cancel(command)) => command.run(layers).await,
        Command::Job(JobCommand::Retry(command)) => command.run(layers).await,
        Command::Doctor(command) => command.run(layers).await,
        Command::Drift(command) => command.run(layers).await,
        Command::Reconcile(command) => command.run(layers).await,
        Command::Orphan(OrphanCommand::List(command)) => command.run(layers).await,
        Command::Orphan(OrphanCommand::Remove(command)) => command.run(layers).await,
        Command::Token(TokenCommand::Create(command)) => command.run(layers).await,
        Command::Token(TokenCommand::List(command)) => command.run(layers).await,
        Command::Token(TokenCommand::Revoke(command)) => command.run(layers).await,
        Command::Secret(SecretCommand::Show(command)) => command.run(layers).await,
        Command::Secret(SecretCommand::Rotate(command)) => command.run(layers).await,
        Command::Context(ContextCommand::Add(command)) => command.run(layers),
        Command::Context(ContextCommand::List(command)) => command.run(layers),
        Command::Context(ContextCommand::Use(command)) => command.run(layers),
        Command::Context(ContextCommand::Remove(command)) => command.run(layers),
        Command::Completions(command) => command.run(Cli::command()),
    }
}

/// Checks the settings of a command that works on the installation itself, and begins to log.
fn configure(settings: Settings, layers: &Layers) -> Result<Config, Failure> {
    logging::init(settings.log_format, settings.log_level);
    for name in layers.unknown(&Cli::command(), &OTHER_VARIABLES) {
        warn!(name, "ignored an unknown setting in an env file");
    }
    Config::new(settings).map_err(|error| Failure::Usage(error.to_string()))
}

impl From<clap::Error> for Failure {
    fn from(error: clap::Error) -> Self {
        match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Self::Help(error),
            _ => Self::Arguments(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
