//! An engine that counts the programs that are run, and fails those that a case names.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hostplane_domain::container::ContainerSpec;
use hostplane_domain::disk::{DiskSpace, FilesUsage};
use hostplane_domain::mark::Labels;
use hostplane_infra::containers::{
    ArchiveEntry, ContainerFacts, Containers, Docker, EngineEvents, EngineFacts, Exec, ExecOutput, ImageFacts, LogLine,
    LogQuery, NetworkFacts, NetworkSpec, Scope, Tuning, VolumeFacts,
};
use hostplane_infra::error::{Effect, EffectError};

/// Trouble of the next run of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It runs and exits with 1, having done nothing.
    Refuses,
    /// It exits with this code, having done nothing.
    Exits(i64),
    /// It runs, and the answer is lost.
    AnswerLost,
}

pub struct Counting {
    inner: Arc<Docker>,
    ran: Mutex<Vec<String>>,
    trouble: Mutex<Vec<(&'static str, Trouble)>>,
}

impl Counting {
    pub fn new(inner: Arc<Docker>) -> Self {
        Self { inner, ran: Mutex::default(), trouble: Mutex::default() }
    }

    /// Number of runs of a program, by its first two words; a script by the two that follow its text.
    pub fn count(&self, program: &str) -> usize {
        self.ran.lock().unwrap().iter().filter(|ran| *ran == program).count()
    }

    /// The next run of a program goes wrong.
    pub fn next(&self, program: &'static str, trouble: Trouble) {
        self.trouble.lock().unwrap().push((program, trouble));
    }
}

#[async_trait]
impl Containers for Counting {
    async fn ping(&self) -> Effect<()> {
        self.inner.ping().await
    }

    async fn containers(&self, scope: &Scope) -> Effect<Vec<ContainerFacts>> {
        self.inner.containers(scope).await
    }

    async fn volumes(&self, scope: &Scope) -> Effect<Vec<VolumeFacts>> {
        self.inner.volumes(scope).await
    }

    async fn networks(&self, scope: &Scope) -> Effect<Vec<NetworkFacts>> {
        self.inner.networks(scope).await
    }

    async fn tuning(&self, container_id: &str) -> Effect<Tuning> {
        self.inner.tuning(container_id).await
    }

    async fn about(&self) -> Effect<EngineFacts> {
        self.inner.about().await
    }

    async fn events(&self) -> Effect<EngineEvents> {
        self.inner.events().await
    }

    async fn image(&self, image: &str) -> Effect<Option<ImageFacts>> {
        self.inner.image(image).await
    }

    async fn create_volume(&self, name: &str, labels: &Labels) -> Effect<VolumeFacts> {
        self.inner.create_volume(name, labels).await
    }

    async fn remove_volume(&self, name: &str) -> Effect<()> {
        self.inner.remove_volume(name).await
    }

    async fn create_network(&self, spec: &NetworkSpec) -> Effect<String> {
        self.inner.create_network(spec).await
    }

    async fn remove_network(&self, id: &str) -> Effect<()> {
        self.inner.remove_network(id).await
    }

    async fn connect(&self, network_id: &str, container_id: &str) -> Effect<()> {
        self.inner.connect(network_id, container_id).await
    }

    async fn create_container(&self, spec: &ContainerSpec, labels: &Labels) -> Effect<String> {
        self.inner.create_container(spec, labels).await
    }

    async fn start_container(&self, id: &str) -> Effect<()> {
        self.inner.start_container(id).await
    }

    async fn stop_container(&self, id: &str, grace_s: u16) -> Effect<()> {
        self.inner.stop_container(id, grace_s).await
    }

    async fn remove_container(&self, id: &str) -> Effect<()> {
        self.inner.remove_container(id).await
    }

    async fn upload(&self, container_id: &str, dir: &str, entries: &[ArchiveEntry]) -> Effect<()> {
        self.inner.upload(container_id, dir, entries).await
    }

    async fn download(&self, container_id: &str, dir: &str) -> Effect<Vec<ArchiveEntry>> {
        self.inner.download(container_id, dir).await
    }

    async fn download_file(&self, container_id: &str, path: &str) -> Effect<Option<ArchiveEntry>> {
        self.inner.download_file(container_id, path).await
    }

    async fn exec(&self, container_id: &str, exec: &Exec) -> Effect<ExecOutput> {
        let script = exec.argv.iter().position(|word| word == "sh");
        let program = exec
            .argv
            .iter()
            .skip(script.map_or(0, |sh| sh + 3))
            .take(2)
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(" ");
        let trouble = {
            let mut waiting = self.trouble.lock().unwrap();
            let place = waiting.iter().position(|(next, _)| program == *next);
            place.map(|place| waiting.remove(place).1)
        };
        self.ran.lock().unwrap().push(program);
        match trouble {
            None => self.inner.exec(container_id, exec).await,
            Some(Trouble::Refuses) => {
                let stderr = "Error: sending configuration to instance: refused for the test".into();
                Ok(ExecOutput { code: 1, stdout: bytes::Bytes::new(), stderr })
            }
            Some(Trouble::Exits(code)) => {
                Ok(ExecOutput { code, stdout: bytes::Bytes::new(), stderr: "ended for the test".into() })
            }
            Some(Trouble::AnswerLost) => {
                self.inner.exec(container_id, exec).await?;
                Err(EffectError::unknown_message("docker.exec", "lost for the test"))
            }
        }
    }

    async fn usage(&self, container_id: &str, dir: &str) -> Effect<FilesUsage> {
        self.inner.usage(container_id, dir).await
    }

    async fn space(&self, container_id: &str) -> Effect<DiskSpace> {
        self.inner.space(container_id).await
    }

    async fn log(&self, container_id: &str, ask: LogQuery) -> Effect<Vec<LogLine>> {
        self.inner.log(container_id, ask).await
    }
}
