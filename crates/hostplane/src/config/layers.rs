//! Layers of settings: flags win over the environment, the environment over env files, and env files over defaults.
//! An empty variable counts as not set.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::Resettable;
use clap::{Arg, Command};

/// Environment and env files.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    /// Variables of the process.
    pub environment: BTreeMap<String, OsString>,
    /// Values of all env files together.
    pub files: BTreeMap<String, String>,
}

impl Layers {
    /// The value of a variable that is no argument.
    pub fn get(&self, name: &str) -> Option<String> {
        let of_process = self.environment.get(name).and_then(|value| value.to_str()).map(str::to_owned);
        of_process.filter(|value| !value.is_empty()).or_else(|| self.in_files(name))
    }

    /// The value as a path, which need not be UTF-8.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        let of_process = self.environment.get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        of_process.or_else(|| self.in_files(name).map(PathBuf::from))
    }

    fn in_files(&self, name: &str) -> Option<String> {
        self.files.get(name).filter(|value| !value.is_empty()).cloned()
    }

    /// Puts the layers below the arguments of a command and of all its subcommands.
    pub fn apply(&self, command: Command) -> Command {
        let mut command = command.mut_args(|argument| self.apply_to(argument));
        for subcommand in command.get_subcommands_mut() {
            *subcommand = self.apply(std::mem::take(subcommand));
        }
        command
    }

    fn apply_to(&self, argument: Arg) -> Arg {
        let Some(name) = argument.get_env().and_then(|name| name.to_str()).map(str::to_owned) else { return argument };
        let argument = match self.environment.get(&name) {
            // clap would take it for a value.
            Some(value) if value.is_empty() => argument.env(Resettable::Reset),
            _ => argument,
        };
        match self.in_files(&name) {
            // --help must not show it: a value of a file may be a secret.
            Some(value) => argument.default_value(value).hide_default_value(true),
            None => argument,
        }
    }

    /// Names in env files that are no setting.
    pub fn unknown(&self, command: &Command, others: &[&str]) -> Vec<&str> {
        let mut known = BTreeSet::new();
        collect(command, &mut known);
        self.files.keys().map(String::as_str).filter(|name| !known.contains(*name) && !others.contains(name)).collect()
    }
}

fn collect(command: &Command, known: &mut BTreeSet<String>) {
    known.extend(command.get_arguments().filter_map(|argument| Some(argument.get_env()?.to_str()?.to_owned())));
    for subcommand in command.get_subcommands() {
        collect(subcommand, known);
    }
}
