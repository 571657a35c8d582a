//! `hostplane context list`.

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
}

#[derive(Serialize)]
struct All {
    items: Vec<Shown>,
}

impl List {
    pub fn run(self, layers: &Layers) -> Result<(), Failure> {
        let contexts = Contexts::load(contexts::directory(layers).as_deref())?;
        let items = contexts.all().map(|(name, api)| Shown {
            name: name.to_string(),
            api: api.to_owned(),
            in_use: contexts.current() == Some(name),
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
