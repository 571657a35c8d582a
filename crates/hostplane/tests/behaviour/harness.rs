//! A control plane that serves, with its home in a temporary directory and its outside world in memory.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hostplane::api::{Api, Platform};
use hostplane::home::Home;
use hostplane::http;
use hostplane_domain::desired::{PhpSettings, SiteImages, SiteLimits};
use hostplane_domain::job::JobState;
use hostplane_engine::app::App;
use hostplane_engine::secrets::Secrets;
use hostplane_engine::store::Store;
use hostplane_engine::{pace::Pace, site_settings::SiteSettings};
use hostplane_infra::clock::{Clock, SystemClock};
use hostplane_infra::containers::{Containers, NetworkSpec};
use hostplane_infra::error::Dependency;
use hostplane_infra::fake::{FakeWorld, ScriptedGate, State};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub struct Harness {
    pub app: App,
    pub home: Home,
    pub address: SocketAddr,
    pub token: String,
    pub gate: Arc<ScriptedGate>,
    pub stop: watch::Sender<bool>,
    pub serving: JoinHandle<()>,
    pub world: FakeWorld,
    pub http: reqwest::Client,
    store: Store,
    _dir: TempDir,
}

pub struct Answered {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Harness {
    /// Serves, and carries out jobs.
    pub async fn running() -> Self {
        Self::new(true, Platform::default()).await
    }

    /// Serves, and carries out no job.
    pub async fn idle() -> Self {
        Self::new(false, Platform::default()).await
    }

    pub async fn new(works: bool, platform: Platform) -> Self {
        let dir = TempDir::new().unwrap();
        let home = Home::own(&dir.path().join("home")).unwrap();
        let world = FakeWorld::default();
        let gate = ScriptedGate::new();
        let settings = settings();
        world.state().containers.images.extend([settings.images.php.clone(), settings.images.nginx.clone()]);
        let subnet = Some("172.31.0.0/16".parse().unwrap());
        let labels = std::collections::BTreeMap::new();
        let shared = NetworkSpec { name: settings.shared_network.clone(), subnet, labels };
        world.create_network(&shared).await.unwrap();

        let secrets = Secrets::new(home.secret(&home.default_database()).unwrap(), Arc::new(home.keeper()));
        let store = Store::open(&home.default_database(), settings.pace.settle, SystemClock.now()).await.unwrap();
        let base_domain = settings.base_domain.clone();
        let (app, background) = App::new(store.clone(), world.behind(gate.clone()), secrets, settings).await.unwrap();
        let token = home.token().unwrap().expose_secret().to_owned();
        app.set_token(&token).await.unwrap();
        let listener = http::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        home.announce(&format!("http://{address}")).unwrap();
        let stop = watch::Sender::new(false);
        let router = Api::new(app.clone(), base_domain, platform).router();
        let serving = tokio::spawn(http::serve(listener, router, stop.subscribe()));
        if works {
            tokio::spawn(background.run(std::future::pending()));
        }
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { app, home, address, token, gate, stop, serving, world, http, store, _dir: dir }
    }

    /// A request with the token.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.without_token(method, path).bearer_auth(&self.token)
    }

    pub fn without_token(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://{}{path}", self.address))
    }

    pub async fn get(&self, path: &str) -> Answered {
        answered(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answered {
        answered(self.request(Method::POST, path).json(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answered {
        answered(self.request(Method::DELETE, path)).await
    }

    /// Asks for a site and answers its job's id.
    pub async fn create(&self, name: &str) -> String {
        let answer = self.post("/api/v1/sites", &json!({ "name": name, "kind": "wordpress" })).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
        answer.body["id"].as_str().unwrap().to_owned()
    }

    /// Waits until a job will do nothing more by itself.
    pub async fn ended(&self, job: &str) -> JobState {
        let at_rest =
            |job: &hostplane_engine::app::JobView| !matches!(job.record.state, JobState::Pending | JobState::Running);
        let ended = self.app.job_when(job.parse().unwrap(), at_rest);
        tokio::time::timeout(Duration::from_mins(1), ended).await.expect("the job ends").unwrap().record.state
    }

    pub async fn active(&self, name: &str) {
        let job = self.create(name).await;
        assert_eq!(self.ended(&job).await, JobState::Completed);
    }

    /// The world without what only counts.
    pub fn outside(&self) -> State {
        let mut state = self.world.state().clone();
        state.containers.ids = 0;
        state
    }

    /// What the store says of itself, as soon as it says something; it is asked at once and after each change.
    pub async fn store_when<T>(&self, seen: impl AsyncFn(&Store) -> Option<T>) -> T {
        let asked = async {
            let mut changes = self.store.changes();
            loop {
                changes.mark_unchanged();
                if let Some(found) = seen(&self.store).await {
                    return found;
                }
                changes.changed().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_mins(1), asked).await.expect("it comes to pass")
    }

    /// How many sites and jobs there are, whatever their state.
    pub async fn counts(&self) -> (usize, usize) {
        let sites = hostplane_engine::store::SiteFilter { limit: 1000, ..Default::default() };
        let jobs = hostplane_engine::store::JobFilter { limit: 1000, ..Default::default() };
        (self.store.sites(&sites).await.unwrap().rows.len(), self.store.jobs(None, &jobs).await.unwrap().rows.len())
    }

    /// From now on nobody reaches a dependency.
    pub fn cut_off(&self, dependency: Dependency) {
        self.gate.cut_off(dependency);
    }

    /// The control database fails from now on.
    pub async fn break_store(&self) {
        self.store.close().await;
    }
}

pub async fn answered(request: RequestBuilder) -> Answered {
    let response: Response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = response.bytes().await.unwrap();
    let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into()));
    Answered { status, headers, body }
}

fn settings() -> SiteSettings {
    SiteSettings {
        base_domain: "localhost".parse().unwrap(),
        public_port: 8080,
        images: SiteImages { php: "hostplane/php:test".into(), nginx: "hostplane/nginx:test".into() },
        limits: SiteLimits::default(),
        php: PhpSettings::default(),
        mail: None,
        mail_password: None,
        shared_network: "hostplane".into(),
        database_host: "host.docker.internal:3306".into(),
        subnet_pool: "10.213.0.0/16".parse().unwrap(),
        concurrency: 4,
        // As in life, only faster.
        pace: Pace {
            backoff_base: Duration::from_millis(1),
            backoff_ceiling: Duration::from_millis(4),
            dependency_pause: Duration::from_millis(5),
            settle: Duration::from_millis(20),
            scan_interval: Duration::from_millis(50),
            orphan_grace: Duration::ZERO,
            ..Pace::default()
        },
    }
}
