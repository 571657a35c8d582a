//! A control plane that serves, with its home in a temporary directory and its outside world in memory.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hostplane::api::{Api, PlatformProgress};
use hostplane::home::Home;
use hostplane::listener;
use hostplane_domain::job::JobState;
use hostplane_engine::app::App;
use hostplane_engine::pace::Pace;
use hostplane_engine::secrets::Secrets;
use hostplane_engine::site_settings::SiteSettings;
use hostplane_engine::store::Store;
use hostplane_infra::clock::{Clock, SystemClock};
use hostplane_infra::error::Dependency;
use hostplane_testing::fake::{FakeWorld, ScriptedGate, State};
use hostplane_testing::harness;
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
    /// Serves, and runs jobs.
    pub async fn running() -> Self {
        Self::new(true, PlatformProgress::default()).await
    }

    /// Serves, with the site `hello` in service.
    pub async fn with_hello() -> Self {
        let harness = Self::running().await;
        harness.active("hello").await;
        harness
    }

    /// Serves, and runs no job.
    pub async fn idle() -> Self {
        Self::new(false, PlatformProgress::default()).await
    }

    /// Serves, runs jobs, and measures disk usage all the time.
    pub async fn measuring() -> Self {
        let mut settings = harness::settings(pace());
        (settings.disk.interval, settings.disk.tick) = (Duration::ZERO, Duration::from_millis(8));
        Self::with(settings, true, PlatformProgress::default()).await
    }

    pub async fn new(works: bool, platform: PlatformProgress) -> Self {
        Self::with(harness::settings(pace()), works, platform).await
    }

    async fn with(settings: SiteSettings, works: bool, platform: PlatformProgress) -> Self {
        let dir = TempDir::new().unwrap();
        let home = Home::own(&dir.path().join("home")).unwrap();
        let (world, gate) = (harness::world().await, ScriptedGate::new());

        let secrets = Secrets::new(home.secret(&home.default_database()).unwrap(), Arc::new(home.keeper()));
        let store = Store::open(&home.default_database(), settings.pace.settle, SystemClock.now()).await.unwrap();
        let base_domain = settings.base_domain.clone();
        let (app, background) = App::new(store.clone(), world.behind(gate.clone()), secrets, settings).await.unwrap();
        let token = home.token().unwrap().expose_secret().to_owned();
        app.set_token(&token).await.unwrap();
        let listener = listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        home.announce(&format!("http://{address}")).unwrap();
        let stop = watch::Sender::new(false);
        let router = Api::new(app.clone(), base_domain, platform).router();
        let serving = tokio::spawn(listener::serve(listener, router, stop.subscribe()));
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

    /// Orders a site and returns its job's id.
    pub async fn create(&self, name: &str) -> String {
        let answer = self.post("/api/v1/sites", &json!({ "name": name, "kind": "wordpress" })).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
        answer.body["id"].as_str().unwrap().to_owned()
    }

    /// Waits until a job has ended or needs an operator.
    pub async fn ended(&self, job: &str) -> JobState {
        harness::ended(&self.app, job.parse().unwrap()).await.record.state
    }

    pub async fn active(&self, name: &str) {
        let job = self.create(name).await;
        assert_eq!(self.ended(&job).await, JobState::Completed);
    }

    /// Orders the end of a site and returns its job's id.
    pub async fn destroy(&self, name: &str) -> String {
        let answer = self.delete(&format!("/api/v1/sites/{name}?confirm={name}")).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
        answer.body["id"].as_str().unwrap().to_owned()
    }

    /// The world without its counters.
    pub fn outside(&self) -> State {
        self.world.state().clone().uncounted()
    }

    /// Waits for a fact of the store, which is read at once and after each change.
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
        tokio::time::timeout(Duration::from_mins(1), asked).await.expect("the fact comes true")
    }

    /// Numbers of sites and jobs, in any state.
    pub async fn counts(&self) -> (usize, usize) {
        let sites = hostplane_engine::store::SiteFilter { limit: 1000, ..Default::default() };
        let jobs = hostplane_engine::store::JobFilter { limit: 1000, ..Default::default() };
        (self.store.sites(&sites).await.unwrap().rows.len(), self.store.jobs(None, &jobs).await.unwrap().rows.len())
    }

    /// Makes a dependency unreachable from now on.
    pub fn cut_off(&self, dependency: Dependency) {
        self.gate.cut_off(dependency);
    }

    /// Makes the control database fail from now on.
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

/// Compares JSON with the snapshot of a name. Values of one run and texts for people are replaced by their kind.
///
/// A missing or different snapshot fails, and no test writes one: `.config/insta.yaml` sets that. The command
/// `INSTA_UPDATE=always cargo test -p hostplane --test behaviour` writes them.
pub fn assert_snapshot(name: &str, json: &Value) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_json_snapshot!(name, redacted("", json)));
}

fn redacted(key: &str, value: &Value) -> Value {
    match value {
        Value::Object(members) => members.iter().map(|(key, value)| (key.clone(), redacted(key, value))).collect(),
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(|item| redacted(key, item)).collect();
            // Steps that don't depend on each other run in any order.
            if key == "steps" {
                items.sort_by_key(Value::to_string);
            }
            items.into()
        }
        Value::Number(_) if key == "elapsed_ms" => "[ms]".into(),
        Value::String(text) => redacted_text(key, text).into(),
        other => other.clone(),
    }
}

fn redacted_text<'a>(key: &str, text: &'a str) -> &'a str {
    match key {
        "detail" | "error" | "hint" | "message" => "[text]",
        "password" | "token" => "[secret]",
        "id" => "[id]",
        _ if text.parse::<uuid::Uuid>().is_ok() => "[id]",
        _ if text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok() => "[time]",
        _ => text,
    }
}

/// The real pace, only faster.
fn pace() -> Pace {
    Pace { scan_interval: Duration::from_millis(50), orphan_grace: Duration::ZERO, ..harness::quick_pace() }
}
