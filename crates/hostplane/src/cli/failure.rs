//! How a command ends when it doesn't end well, and with which exit code.

use std::process::ExitCode;

use crate::client::contexts::ContextError;
use crate::client::{ClientError, DiscoveryError};
use crate::down::PlatformError;
use crate::serve::ServeError;
use hostplane_infra::error::chain;

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const UNREACHABLE: u8 = 3;

/// Why a command did not do what it was told.
#[derive(Debug)]
pub(super) enum Failure {
    /// Help or version was asked for; clap treats that as an error.
    Help(clap::Error),
    /// clap refuses the arguments.
    Arguments(clap::Error),
    /// The arguments, the settings or the input are not valid.
    Usage(String),
    /// The operation failed.
    Failed(String),
    /// The operation failed, and all was said about it.
    Reported,
    /// No control plane answers.
    Unreachable(String),
    /// Whoever read the output has gone.
    Unread,
}

impl Failure {
    /// Says it on standard error.
    pub fn report(&self) -> ExitCode {
        match self {
            Self::Help(error) | Self::Arguments(error) => {
                // There is nobody left to tell that this failed.
                let _ = error.print();
            }
            Self::Usage(text) | Self::Failed(text) | Self::Unreachable(text) => eprintln!("hostplane: {text}"),
            Self::Reported | Self::Unread => {}
        }
        ExitCode::from(self.code())
    }

    pub fn code(&self) -> u8 {
        match self {
            Self::Help(_) | Self::Unread => 0,
            Self::Failed(_) | Self::Reported => FAILED,
            Self::Arguments(_) | Self::Usage(_) => USAGE,
            Self::Unreachable(_) => UNREACHABLE,
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let text = super::output::printable(&error.to_string());
        match error {
            ClientError::Unreachable { .. } => Self::Unreachable(text),
            // What was sent is not valid.
            ClientError::Problem { problem, .. } if matches!(problem.status, 400 | 422) => Self::Usage(text),
            ClientError::Problem { .. } | ClientError::Setup(_) => Self::Failed(text),
        }
    }
}

impl From<DiscoveryError> for Failure {
    fn from(error: DiscoveryError) -> Self {
        let text = chain(&error);
        match error {
            DiscoveryError::NotRunning(_) => Self::Unreachable(text),
            DiscoveryError::Context(error) => error.into(),
            DiscoveryError::BadAddress
            | DiscoveryError::NoToken(_)
            | DiscoveryError::BadToken
            | DiscoveryError::Both
            | DiscoveryError::BadContext(_) => Self::Usage(text),
            DiscoveryError::Home(_) => Self::Failed(text),
        }
    }
}

impl From<ContextError> for Failure {
    fn from(error: ContextError) -> Self {
        let text = chain(&error);
        match error {
            ContextError::NoDirectory | ContextError::Unknown { .. } | ContextError::Exists(_) => Self::Usage(text),
            ContextError::Io { .. } | ContextError::File(_) | ContextError::Malformed(_) => Self::Failed(text),
        }
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        let text = chain(&error);
        match error {
            ServeError::Config(_) | ServeError::World(_) => Self::Usage(text),
            _ => Self::Failed(text),
        }
    }
}

impl From<PlatformError> for Failure {
    fn from(error: PlatformError) -> Self {
        let text = chain(&error);
        match error {
            PlatformError::World(_) => Self::Usage(text),
            _ => Self::Failed(text),
        }
    }
}
