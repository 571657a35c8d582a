//! The API on a world in memory, in a home that goes with it.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use hostplane::api::{Api, PlatformProgress};
use hostplane::home::Home;
use hostplane::listener;
use hostplane_engine::app::App;
use hostplane_engine::pace::Pace;
use hostplane_engine::secrets::Secrets;
use hostplane_engine::store::Store;
use hostplane_infra::clock::{Clock, SystemClock};
use hostplane_infra::gate::LiveGate;
use hostplane_testing::fake::FakeWorld;
use hostplane_testing::harness;
use secrecy::ExposeSecret;
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// The port unless `DEV_PORT` says otherwise: `hostplane up` has 7070.
const PORT: u16 = 7071;

/// Serves until SIGINT or SIGTERM.
pub async fn run() -> Result<(), Box<dyn Error>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let port = match std::env::var("DEV_PORT") {
        Ok(port) => port.parse().map_err(|_| format!("DEV_PORT is a number of a port, not {port:?}"))?,
        Err(_) => PORT,
    };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = listener::bind(address).await;
    let listener =
        listener.map_err(|error| format!("can't listen on {address}: {error}. Set DEV_PORT to a free port."))?;
    let url = format!("http://{}", listener.local_addr()?);

    let dir = TempDir::with_prefix("hostplane-dev-")?;
    let home = Home::own(&dir.path().join("home"))?;
    let settings = harness::settings(Pace::default());
    let base_domain = settings.base_domain.clone();
    let now = SystemClock.now();
    let before = harness::world().await.state().clone();
    let world = FakeWorld::resumed(before, now).behind(LiveGate::new());
    let secrets = Secrets::new(home.secret(&home.default_database())?, Arc::new(home.keeper()));
    let store = Store::open(&home.default_database(), settings.pace.settle, now).await?;
    let (app, background) = App::new(store.clone(), world, secrets, settings).await?;
    app.settle_routes().await?;
    let token = home.token()?;
    app.set_token(token.expose_secret()).await?;

    let stop = watch::Sender::new(false);
    let router = Api::new(app, base_domain, PlatformProgress::default()).with_home(home.dir()).router();
    let serving = tokio::spawn(listener::serve(listener, router, stop.subscribe()));
    home.announce(&url)?;
    println!("The API of a world in memory serves on {url}. In another terminal:\n");
    println!("    export HOSTPLANE_API={url} HOSTPLANE_TOKEN={}", token.expose_secret());
    println!("    {} site create shop --wait\n", program());
    println!("Ctrl-C ends it and removes its files.");

    let mut stopped = stop.subscribe();
    let signalled = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        stop.send_replace(true);
    };
    let working = background.run(async move {
        let _ = stopped.wait_for(|stop| *stop).await;
    });
    tokio::join!(signalled, working);
    serving.await?;
    store.close().await;
    Ok(())
}

/// The program that was built beside this one.
fn program() -> String {
    let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.parent()?.join("hostplane")));
    beside.filter(|path| path.is_file()).map_or_else(|| "hostplane".to_owned(), |path| path.display().to_string())
}
