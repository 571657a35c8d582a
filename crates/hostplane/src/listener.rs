//! The listener: HTTP/1 only, with bounds on what a slow or greedy client can hold.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

/// Connections at once; others wait in the listener's queue.
const CONNECTIONS: usize = 256;
/// Longest time for a request's head, and for an idle connection.
const HEAD_PATIENCE: Duration = Duration::from_secs(15);
/// Longest life of a connection. It ends between two requests.
const CONNECTION_LIFE: Duration = Duration::from_mins(10);
/// Longest time for the running request of a connection that is to end.
const LAST_REQUEST: Duration = Duration::from_secs(70);
/// Longest time for running requests when the process stops.
const LAST_REQUEST_AT_STOP: Duration = Duration::from_secs(5);
/// Most bytes of a request's head.
const HEAD_LIMIT: usize = 32 * 1024;

/// The connection that a request came on; it is among the request's extensions.
#[derive(Debug, Clone)]
pub struct Connection {
    peer: IpAddr,
    ending: watch::Receiver<bool>,
}

impl Connection {
    /// Address of the client, or of the proxy before the API.
    #[must_use]
    pub fn peer(&self) -> IpAddr {
        self.peer
    }

    /// Resolves once the connection is to end, because the process stops or its time is up. An answer without an end
    /// of its own ends then.
    pub async fn ending(&mut self) {
        // Without a sender the connection is gone.
        let _ = self.ending.wait_for(|ending| *ending).await;
    }
}

/// Binds the API's address.
///
/// # Errors
/// When the address is taken or isn't this machine's.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Serves until `stop` becomes true, then gives running requests 5 s to end.
pub async fn serve(listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            accepted = accept(&listener, &permits) => accepted,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
        };
        match accepted {
            Ok((stream, peer, permit)) => {
                let (router, stop) = (router.clone(), stop.clone());
                connections.spawn(async move {
                    connection(stream, peer, router, stop).await;
                    drop(permit);
                });
            }
            Err(error) => {
                // Without a pause this loop would spin, for example when descriptors run out.
                warn!(%error, "can't accept a connection");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    let rest = async { while connections.join_next().await.is_some() {} };
    if timeout(LAST_REQUEST_AT_STOP, rest).await.is_err() {
        warn!("running requests were broken off");
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> io::Result<(TcpStream, IpAddr, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer.ip(), permit))
}

async fn connection(stream: TcpStream, peer: IpAddr, router: Router, mut stop: watch::Receiver<bool>) {
    // Answers are written whole; waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let ending = watch::Sender::new(false);
    let about = Connection { peer, ending: ending.subscribe() };
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(about.clone());
        router.call(request)
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_PATIENCE)
            .max_buf_size(HEAD_LIMIT)
            .serve_connection(TokioIo::new(stream), service)
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        _ = stop.wait_for(|stop| *stop) => None,
        () = sleep(CONNECTION_LIFE) => None,
    };
    let ended = if let Some(ended) = ended {
        ended
    } else {
        ending.send_replace(true);
        connection.as_mut().graceful_shutdown();
        let Ok(ended) = timeout(LAST_REQUEST, connection).await else { return };
        ended
    };
    if let Err(error) = ended {
        debug!(error = %hostplane_infra::error::chain(&error), "a connection broke off");
    }
}
