//! Options that choose the control plane.

use std::path::PathBuf;

use clap::Args;

use super::failure::Failure;
use crate::client::contexts::{self, Contexts};
use crate::client::{Client, Endpoint, EndpointChoice};
use crate::config::layers::Layers;

/// The control plane. Its token is in HOSTPLANE_TOKEN, in its home or with its context.
#[derive(Debug, Args)]
pub(super) struct Target {
    /// Address of the control plane [default: as the home says] [env: HOSTPLANE_API]
    #[arg(long, value_name = "URL", help_heading = "Control plane")]
    api: Option<String>,
    /// A control plane that was added with `hostplane context add` [default: the one in use] [env:
    /// HOSTPLANE_CONTEXT]
    #[arg(long, value_name = "NAME", help_heading = "Control plane")]
    context: Option<String>,
    /// Home of the control plane [default: ./.hostplane] [env: HOSTPLANE_HOME]
    #[arg(long, value_name = "DIR", help_heading = "Control plane")]
    hostplane_home: Option<PathBuf>,
    /// File with the CA that signs its certificate, in place of the public CAs [env: HOSTPLANE_CA_FILE]
    #[arg(long, value_name = "FILE", help_heading = "Control plane")]
    ca_file: Option<PathBuf>,
    /// Send the token to another machine without encryption [env: HOSTPLANE_PLAIN_HTTP]
    #[arg(long, help_heading = "Control plane")]
    plain_http: bool,
}

impl Target {
    pub fn client(&self, layers: &Layers) -> Result<Client, Failure> {
        let flags = EndpointChoice {
            api: self.api.clone(),
            context: self.context.clone(),
            home: self.hostplane_home.clone(),
            ca_file: self.ca_file.clone(),
            plain_http: self.plain_http,
        };
        let environment = EndpointChoice {
            api: layers.get("HOSTPLANE_API"),
            context: layers.get("HOSTPLANE_CONTEXT"),
            home: layers.path("HOSTPLANE_HOME"),
            ca_file: layers.path("HOSTPLANE_CA_FILE"),
            plain_http: layers.get("HOSTPLANE_PLAIN_HTTP").as_deref() == Some("true"),
        };
        let token = layers.get("HOSTPLANE_TOKEN");
        let directory = contexts::directory(layers);
        let endpoint = Endpoint::find(&flags, &environment, token.as_deref(), || Contexts::load(directory.as_deref()))?;
        Ok(Client::new(endpoint)?)
    }
}
