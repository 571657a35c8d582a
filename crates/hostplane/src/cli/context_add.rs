//! `hostplane context add`.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use secrecy::{ExposeSecret, SecretString};

use super::failure::Failure;
use crate::client::contexts::{self, Context, ContextName, Contexts};
use crate::client::{EndpointError, cas, normal, refuse_clear, token};
use crate::config::layers::Layers;

/// Longest file with a token, in bytes.
const LONGEST: u64 = 4096;

/// Remember a control plane's address and token under a name
#[derive(Debug, Args)]
pub(super) struct Add {
    /// Name for the control plane
    name: ContextName,
    /// Address of the control plane, such as https://hostplane.example.com
    #[arg(long, value_name = "URL")]
    api: String,
    /// File with the token, - for standard input [default: HOSTPLANE_TOKEN]
    // Not an argument of its own: other users of the machine can see those.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// File with the CA that signs its certificate, in place of the public CAs
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Send the token to another machine without encryption
    #[arg(long)]
    plain_http: bool,
    /// Replace one of this name
    #[arg(long)]
    replace: bool,
}

impl Add {
    pub fn run(self, layers: &Layers) -> Result<(), Failure> {
        let usage = |text: &str| Failure::Usage(text.to_owned());
        let api = normal(&self.api).ok_or(EndpointError::BadAddress)?;
        if !self.plain_http {
            refuse_clear(&api)?;
        }
        let ca_file = self.ca_file.as_deref().map(usable_ca).transpose()?;
        let text = match &self.token_file {
            Some(path) => read(path).map_err(|error| Failure::Failed(format!("can't read the token: {error}")))?,
            None => layers.get("HOSTPLANE_TOKEN").ok_or_else(|| {
                usage("there is no token: name a file with --token-file FILE (- is standard input), or set HOSTPLANE_TOKEN")
            })?,
        };
        let token: SecretString = token(text.trim()).ok_or_else(|| usage("this is not a token"))?;
        let name = self.name;
        let token = token.expose_secret().to_owned();
        let context = Context { api, token, ca_file, plain_http: self.plain_http };
        Contexts::change(contexts::directory(layers).as_deref(), |all| all.add(name.clone(), context, self.replace))?;
        eprintln!(
            "To use it once: hostplane site list --context {name}\nTo use it by default: hostplane context use {name}"
        );
        Ok(())
    }
}

/// The absolute path of a file with a CA: the context is used from other directories too.
fn usable_ca(path: &Path) -> Result<PathBuf, Failure> {
    cas(path).map_err(|error| Failure::Usage(error.to_string()))?;
    path.canonicalize().map_err(|error| Failure::Failed(format!("can't find {}: {error}", path.display())))
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
