//! Client of the HTTP API.

pub(crate) mod contexts;
mod endpoint;
mod event_stream;
mod http_client;

pub(crate) use endpoint::{Endpoint, EndpointChoice, EndpointError, normal, token};
pub(crate) use http_client::{Client, ClientError};
