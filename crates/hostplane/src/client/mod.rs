//! Client of the HTTP API.

pub(crate) mod contexts;
mod endpoint;
mod event_stream;
mod http_client;
mod trust;

pub(crate) use endpoint::{Endpoint, EndpointChoice, EndpointError, normal, refuse_clear, token};
pub(crate) use http_client::{Client, ClientError};
pub(crate) use trust::cas;
