//! Puts the control plane together and runs it until a signal stops it.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process;
use std::sync::Arc;
use std::time::Duration;

use hostplane_engine::app::{App, AppError, Background};
use hostplane_engine::platform::{Platform, PlatformSettings};
use hostplane_engine::secrets::Secrets;
use hostplane_engine::store::{Store, StoreError};
use hostplane_infra::clock::{Clock, SystemClock};
use secrecy::ExposeSecret;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{debug, info, warn};

use crate::api::{Api, PlatformProgress};
use crate::config::{Config, ConfigError};
use crate::home::{Home, HomeError};
use crate::listener;
use crate::up::{Up, UpError};
use crate::world::{self, WorldError};

/// Longest time for running jobs to end at a stop. The others go on at the next start, as after a crash.
const PATIENCE: Duration = Duration::from_secs(50);
/// Pause between two attempts to have Caddy load what is on disk.
const SETTLE_PAUSE: Duration = Duration::from_secs(2);
/// The exit code of a process that a second signal ended.
const INTERRUPTED: i32 = 130;

/// Failure to run the control plane.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error(transparent)]
    World(#[from] WorldError),
    #[error("can't listen on {address}; end what has that port, or set API_PORT (and API_ADDRESS) to something free")]
    Bind {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("the control database can't be used")]
    Store(#[from] StoreError),
    #[error(transparent)]
    App(#[from] AppError),
    #[error(transparent)]
    Up(#[from] UpError),
    #[error("can't listen for signals")]
    Signals(#[source] io::Error),
}

/// Serves with the platform that is there.
pub(crate) async fn serve(config: Config) -> Result<(), ServeError> {
    Box::pin(run(config, None)).await
}

/// Makes the platform, and serves.
pub(crate) async fn up(config: Config) -> Result<(), ServeError> {
    let platform = config.platform()?;
    Box::pin(run(config, Some(platform))).await
}

async fn run(config: Config, platform: Option<PlatformSettings>) -> Result<(), ServeError> {
    let sites = config.sites()?;
    config.check_pool()?;
    let base_domain = sites.base_domain.clone();
    let home = Home::own(config.home())?;
    // The port comes first: it is taken most often, and nothing was made yet.
    let socket = listen(config.api()).await?;
    let address = socket.local_addr().map_err(|source| ServeError::Bind { address: config.api(), source })?;
    let stop = stop_on_signals()?;

    let database = config.database(home.default_database());
    let secrets = Secrets::new(home.secret(&database)?, Arc::new(home.keeper()));
    let world = world::build(&config, &secrets)?;
    let store = Store::open(&database, sites.pace.settle, SystemClock.now()).await?;
    if store.taken_up() > 0 {
        warn!(jobs = store.taken_up(), "resuming jobs that an earlier process left unfinished");
    }
    let up = match platform {
        None => None,
        Some(settings) => {
            let platform = Platform::new(world.clone(), settings, store.instance().await?, secrets.clone());
            Some(Up::new(platform, store.clone()))
        }
    };
    let (app, background) = App::new(store.clone(), world, secrets, sites).await?;
    app.set_token(home.token()?.expose_secret()).await?;

    let platform = up.as_ref().map_or_else(PlatformProgress::default, |up| PlatformProgress::watched(up.progress()));
    let settling = settle_routes(app.clone());
    let router = Api::new(app, base_domain, platform).with_home(home.dir()).router();
    let serving = tokio::spawn(listener::serve(socket, router, stop.subscribe()));
    let url = url_of(address);
    home.announce(&url)?;
    info!(api = url, home = %home.dir().display(), version = env!("CARGO_PKG_VERSION"), "the control plane serves");

    let outcome = work(up, background, settling, &stop).await;
    stop.send_replace(true);
    home.withdraw();
    // It ends once `stop` is set; a panic in it must not hide the outcome.
    let _ = serving.await;
    store.close().await;
    info!("stopped");
    outcome
}

async fn listen(address: SocketAddr) -> Result<tokio::net::TcpListener, ServeError> {
    if !address.ip().is_loopback() {
        warn!(%address, "the API is reached from outside, without encryption: put a proxy with TLS before it");
    }
    listener::bind(address).await.map_err(|source| ServeError::Bind { address, source })
}

/// Makes the platform and runs jobs, until the process is to stop. Jobs don't wait for the whole platform: each
/// names the dependency that it waits for.
async fn work(
    up: Option<Up>,
    background: Background,
    settling: impl Future<Output = Infallible>,
    stop: &watch::Sender<bool>,
) -> Result<(), ServeError> {
    let refused = async {
        match up {
            Some(up) => match up.run().await {
                Ok(()) => pending().await,
                Err(error) => error,
            },
            None => pending().await,
        }
    };
    let patience = async {
        stopped(stop.subscribe()).await;
        sleep(PATIENCE).await;
    };
    tokio::select! {
        () = Box::pin(background.run(stopped(stop.subscribe()))) => {}
        () = patience => warn!("running jobs did not end; they go on at the next start"),
        error = refused => return Err(error.into()),
        never = settling => match never {},
    }
    Ok(())
}

/// Has Caddy load its snippets once: only then does this process know the routes that Caddy serves.
async fn settle_routes(app: App) -> Infallible {
    while let Err(error) = app.settle_routes().await {
        debug!(error = %error.chain(), "Caddy's routes are not settled yet");
        sleep(SETTLE_PAUSE).await;
    }
    pending().await
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    // Without a sender no stop can come any more, and nothing waits for one.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Becomes true at the first SIGTERM or SIGINT; the second ends the process at once.
fn stop_on_signals() -> Result<watch::Sender<bool>, ServeError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Signals)?;
    let (stop, _) = watch::channel(false);
    let stop_all = stop.clone();
    tokio::spawn(async move {
        for first in [true, false] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if first {
                info!("stopping: no new requests or jobs; waiting for running jobs");
                stop_all.send_replace(true);
            } else {
                warn!("a second signal: ending at once");
                process::exit(INTERRUPTED);
            }
        }
    });
    Ok(stop)
}

/// The address for clients on this machine.
fn url_of(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_get_a_reachable_address() {
        let url = |text: &str| url_of(text.parse().unwrap());
        assert_eq!(url("127.0.0.1:7070"), "http://127.0.0.1:7070");
        assert_eq!(url("0.0.0.0:7070"), "http://127.0.0.1:7070");
        assert_eq!(url("[::]:7070"), "http://[::1]:7070");
    }

    #[tokio::test]
    async fn a_taken_port_is_named_with_the_setting() {
        let taken = listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = taken.local_addr().unwrap();
        let error = listen(address).await.unwrap_err().to_string();
        assert!(error.contains(&address.to_string()) && error.contains("API_PORT"), "{error}");
    }
}
