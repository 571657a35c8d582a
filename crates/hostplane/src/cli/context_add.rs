//! `hostplane context add`.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use secrecy::SecretString;

use super::failure::Failure;
use crate::client::contexts::{self, ContextName, Contexts};
use crate::client::{normal, token};
use crate::config::layers::Layers;

/// Longest file with a token, in bytes.
const LONGEST: u64 = 4096;

/// Remember a control plane's address and token under a name
#[derive(Debug, Args)]
pub(super) struct Add {
    /// Name for the control plane
    name: ContextName,
    /// Address of the control plane, such as http://127.0.0.1:7070
    #[arg(long, value_name = "URL")]
    api: String,
    /// File with the token, - for standard input [default: HOSTPLANE_TOKEN]
    // Not an argument of its own: other users of the machine can see those.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Replace one of this name
    #[arg(long)]
    replace: bool,
}

impl Add {
    pub fn run(self, layers: &Layers) -> Result<(), Failure> {
        let usage = |text: &str| Failure::Usage(text.to_owned());
        let address = normal(&self.api)
            .ok_or_else(|| usage("an address is written as http://127.0.0.1:7070; only http is available"))?;
        let text = match &self.token_file {
            Some(path) => read(path).map_err(|error| Failure::Failed(format!("can't read the token: {error}")))?,
            None => layers.get("HOSTPLANE_TOKEN").ok_or_else(|| {
                usage("there is no token: name a file with --token-file FILE (- is standard input), or set HOSTPLANE_TOKEN")
            })?,
        };
        let token: SecretString = token(text.trim()).ok_or_else(|| usage("this is not a token"))?;
        let name = self.name;
        Contexts::change(contexts::directory(layers).as_deref(), |all| {
            all.add(name.clone(), address, &token, self.replace)
        })?;
        eprintln!(
            "To use it once: hostplane site list --context {name}\nTo use it by default: hostplane context use {name}"
        );
        Ok(())
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    if path == Path::new("-") {
        io::stdin().lock().take(LONGEST).read_to_string(&mut text)?;
    } else {
        File::open(path)?.take(LONGEST).read_to_string(&mut text)?;
    }
    Ok(text)
}
