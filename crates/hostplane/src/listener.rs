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
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

/// Connections at once. More are closed: if they waited, those of this machine would wait behind them.
const CONNECTIONS: usize = 256;
/// Those of them that only this machine gets, so that no flood from outside keeps the operator out.
const KEPT: usize = 32;
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
pub async fn serve(listener: TcpListener, router: Router, stop: watch::Receiver<bool>) {
    serve_within(&Places::new(CONNECTIONS, KEPT), listener, router, stop).await;
}

async fn serve_within(places: &Places, listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
        };
        match accepted {
            Ok((stream, peer)) => {
                let is_local = is_local(peer.ip(), stream.local_addr().ok().map(|address| address.ip()));
                let Some(place) = places.take(is_local) else {
                    debug!(%peer, "closed a connection: there are too many");
                    continue;
                };
                let (router, stop) = (router.clone(), stop.clone());
                connections.spawn(async move {
                    connection(stream, peer.ip(), router, stop).await;
                    drop(place);
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

/// True if a connection comes from this machine: from a loopback address, or from the address that it came to.
fn is_local(peer: IpAddr, to: Option<IpAddr>) -> bool {
    peer.to_canonical().is_loopback() || Some(peer) == to
}

/// Places for connections.
struct Places {
    /// Taken by any connection.
    shared: Arc<Semaphore>,
    /// Taken by those of this machine alone, once no shared one is left.
    kept: Arc<Semaphore>,
}

impl Places {
    fn new(all: usize, kept: usize) -> Self {
        Self { shared: Arc::new(Semaphore::new(all - kept)), kept: Arc::new(Semaphore::new(kept)) }
    }

    fn take(&self, is_local: bool) -> Option<OwnedSemaphorePermit> {
        let take = |places: &Arc<Semaphore>| Arc::clone(places).try_acquire_owned().ok();
        take(&self.shared).or_else(|| if is_local { take(&self.kept) } else { None })
    }
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

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn this_machine_is_known_by_its_address() {
        for (peer, to, expected) in [
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.9", "127.0.0.1", true),
            ("::1", "::1", true),
            ("::ffff:127.0.0.1", "::ffff:127.0.0.1", true),
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.2", "192.0.2.1", false),
            ("2001:db8::2", "2001:db8::1", false),
        ] {
            assert_eq!(is_local(ip(peer), Some(ip(to))), expected, "{peer} to {to}");
        }
        assert!(!is_local(ip("192.0.2.1"), None));
    }

    #[test]
    fn a_flood_from_outside_leaves_places_for_this_machine() {
        let places = Places::new(4, 1);
        let outside: Vec<_> = std::iter::from_fn(|| places.take(false)).collect();
        assert_eq!(outside.len(), 3);
        let local = places.take(true).expect("the kept one");
        assert!(places.take(true).is_none() && places.take(false).is_none());
        drop(local);
        assert!(places.take(false).is_none(), "it stays this machine's");
        drop(outside);
        assert_eq!(std::iter::from_fn(|| places.take(true)).collect::<Vec<_>>().len(), 4);
    }

    #[tokio::test]
    async fn connections_without_a_place_are_closed_at_once() {
        let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = watch::Sender::new(false);
        let (router, until) = (Router::new().route("/", get(async || "hi")), stop.subscribe());
        let serving = tokio::spawn(async move { serve_within(&Places::new(2, 1), listener, router, until).await });
        let ask = async || {
            let mut stream = TcpStream::connect(address).await.unwrap();
            // A connection that is closed already can't be written to.
            let _ = stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
            let mut answer = [0; 12];
            let answered = stream.read_exact(&mut answer).await.is_ok_and(|_| &answer == b"HTTP/1.1 200");
            answered.then_some(stream)
        };
        let (one, two) = (ask().await.expect("a place"), ask().await.expect("a kept place"));
        assert!(ask().await.is_none(), "no place is left");
        drop((one, two));
        // The end of a connection is noticed a moment later.
        let again = async { while ask().await.is_none() {} };
        timeout(Duration::from_secs(20), again).await.expect("the places are free again");
        stop.send_replace(true);
        serving.await.unwrap();
    }
}
