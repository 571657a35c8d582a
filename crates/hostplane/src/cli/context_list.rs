//! `hostplane context list`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::failure::Failure;
use super::output::{OutputFormat, table};
use crate::client::contexts::{self, Contexts};
use crate::config::layers::Layers;

/// List the control planes that were added
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    format: OutputFormat,
}

/// A context without its token.
#[derive(Serialize)]
struct Shown {
    name: String,
    api: String,
    in_use: bool,
    ca_file: Option<PathBuf>,
    plain_http: bool,
}

#[derive(Serialize)]
struct All {
    items: Vec<Shown>,
}

impl List {
    pub fn run(self, layers: &Layers) -> Result<(), Failure> {
        let contexts = Contexts::load(contexts::directory(layers).as_deref())?;
        let items = contexts.all().map(|(name, context)| Shown {
            name: name.to_string(),
            api: context.api.clone(),
            in_use: contexts.current() == Some(name),
            ca_file: context.ca_file.clone(),
            plain_http: context.plain_http,
        });
        self.format.print(&All { items: items.collect() }, |all| {
            let row = |shown: &Shown| {
                let in_use = if shown.in_use { "yes" } else { "" };
                vec![shown.name.clone(), shown.api.clone(), in_use.to_owned()]
            };
            table(&["name", "api", "in use"], all.items.iter().map(row))
        })
    }
}
