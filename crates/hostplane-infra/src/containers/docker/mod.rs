//! Docker Engine, over its Unix socket or over TLS.
//!
//! [`classify`] classifies the answers; everything else here only translates. The gate sets deadlines: dropping a call
//! closes its connection, and the Engine finishes the request.

mod address;
mod archive;
mod certificates;
mod classify;
mod create;
mod disk;
mod engine_events;
mod exec;
mod inspect;
mod listing;
mod log;
mod session;
mod tls;

use std::path::Path;

use async_trait::async_trait;
use bollard::Docker as Client;
use bollard::errors::Error as BollardError;
use bollard::models::NetworkConnectRequest;
use bollard::query_parameters::{
    CreateContainerOptions, InspectNetworkOptions, RemoveContainerOptions, RemoveVolumeOptions, StartContainerOptions,
    StopContainerOptions, UploadToContainerOptions,
};
use bytes::Bytes;
use futures_util::stream;
use hostplane_domain::container::ContainerSpec;
use hostplane_domain::disk::{DiskSpace, FilesUsage};
use hostplane_domain::mark::{Labels, Mark};

pub use address::{ConnectError, engine_host};
pub use certificates::BadCertificates;

use self::address::Address;
use self::archive::ArchiveError;
use self::classify::{AnswerClass, CallSubject, class_of, effect_error, ends_session, invalid};
use self::session::Session;
use super::{
    ArchiveEntry, ContainerFacts, ContainerState, Containers, EngineEvents, EngineFacts, Exec, ExecOutput, ImageFacts,
    LogLine, LogQuery, NetworkFacts, NetworkSpec, Scope, Tuning, VolumeFacts, paths,
};
use crate::clock::Timestamp;
use crate::error::{Effect, EffectError, Rejection, absent_is_none};

/// The Docker Engine.
pub struct Docker {
    session: Session,
}

impl Docker {
    /// An adapter for the Engine at `DOCKER_HOST`: `unix:///path`, or `tcp://host:port` with `DOCKER_CERT_DIR`, the
    /// directory of `ca.pem`, `cert.pem` and `key.pem`. The first call connects.
    ///
    /// # Errors
    /// [`ConnectError`] for any other address, another machine without certificates, or unusable certificates.
    pub fn connect(docker_host: &str, certificates: Option<&Path>) -> Result<Self, ConnectError> {
        Address::parse(docker_host, certificates).map(|address| Self { session: Session::new(address) })
    }

    /// Sends one request.
    async fn send<T>(
        &self,
        subject: CallSubject<'_>,
        request: impl AsyncFnOnce(Client) -> Result<T, BollardError>,
    ) -> Effect<T> {
        match self.send_raw(subject.call, request).await? {
            Ok(value) => Ok(value),
            Err(error) => Err(effect_error(subject, error)),
        }
    }

    /// Sends one request, and returns the Engine's error for the caller to classify.
    async fn send_raw<T>(
        &self,
        call: &'static str,
        request: impl AsyncFnOnce(Client) -> Result<T, BollardError>,
    ) -> Effect<Result<T, BollardError>> {
        let result = request(self.session.client(call).await?).await;
        let failure = result.as_ref().err().and_then(|error| self.session.connect_failure(error));
        if failure.is_some() || result.as_ref().is_err_and(ends_session) {
            self.session.forget();
        }
        match failure {
            Some(failure) => Err(EffectError::transient(call, failure)),
            None => Ok(result),
        }
    }

    /// Fails unless exactly one network has the name or id. The Engine checks neither when it creates a container nor
    /// when it connects a stopped one, and the container would never start.
    async fn expect_network(&self, call: &'static str, name_or_id: &str) -> Effect<()> {
        let subject = CallSubject::read(call, "network", paths::segment(name_or_id)?);
        let found = self
            .send(subject, async |client| client.inspect_network(name_or_id, None::<InspectNetworkOptions>).await)
            .await?;
        // The Engine also accepts the beginning of an id.
        if [found.name.as_deref(), found.id.as_deref()].contains(&Some(name_or_id)) {
            Ok(())
        } else {
            Err(EffectError::NotFound(format!("network {name_or_id}")))
        }
    }

    /// Error for a taken container name: transient if its holder is being removed.
    async fn container_name_taken(&self, call: &'static str, name: &str) -> EffectError {
        let subject = CallSubject::read(call, "container", name);
        let scope = Scope::Names(vec![name.to_owned()]);
        let holder = match self.send(subject, async |client| listing::containers(&client, &scope).await).await {
            Ok(found) => found.into_iter().next(),
            Err(error) => return error,
        };
        match holder {
            // Lists show unknown states as dead too, so the container itself is inspected.
            Some(facts) if facts.state != ContainerState::Removing && !self.is_dead(call, &facts.id).await => {
                let owner = owner(facts.mark.as_ref(), "container", &facts.id);
                Rejection::NameTaken { what: "container", name: name.to_owned(), owner }.into()
            }
            _ => EffectError::transient_message(call, format!("the container {name} is being removed")),
        }
    }

    async fn is_dead(&self, call: &'static str, id: &str) -> bool {
        let subject = CallSubject::read(call, "container", id);
        let found = self.send(subject, async |client| client.inspect_container(id, None).await).await;
        match absent_is_none(found) {
            Ok(Some(facts)) => facts.state.and_then(|state| state.dead).unwrap_or(false),
            Ok(None) => true,
            Err(_) => false,
        }
    }

    async fn network_name_taken(&self, call: &'static str, name: &str) -> EffectError {
        let subject = CallSubject::read(call, "network", name);
        let scope = Scope::Names(vec![name.to_owned()]);
        match self.send(subject, async |client| listing::networks(&client, &scope).await).await {
            Ok(found) => match found.first() {
                Some(facts) => {
                    let owner = owner(facts.mark.as_ref(), "network", &facts.id);
                    Rejection::NameTaken { what: "network", name: name.to_owned(), owner }.into()
                }
                None => EffectError::transient_message(call, format!("the network {name} was just removed")),
            },
            Err(error) => error,
        }
    }
}

/// Describes an object's owner for a message.
fn owner(mark: Option<&Mark>, what: &str, id: &str) -> String {
    match mark {
        Some(mark) => format!("the site {} (id {}) of the instance {}", mark.site.name, mark.site.id, mark.instance),
        None => format!("another owner ({what} {})", id.get(..12).unwrap_or(id)),
    }
}

fn archive_error(call: &'static str, error: ArchiveError) -> EffectError {
    match error {
        ArchiveError::TooLarge | ArchiveError::Pack(_) => invalid(error.to_string()),
        ArchiveError::Read(_) | ArchiveError::CutShort => EffectError::transient(call, error),
    }
}

#[async_trait]
impl Containers for Docker {
    async fn ping(&self) -> Effect<()> {
        let subject = CallSubject::read("docker.ping", "engine", "");
        self.send(subject, async |client| client.ping().await).await.map(drop)
    }

    async fn containers(&self, scope: &Scope) -> Effect<Vec<ContainerFacts>> {
        let subject = CallSubject::read("docker.containers", "containers", "");
        self.send(subject, async |client| listing::containers(&client, scope).await).await
    }

    async fn volumes(&self, scope: &Scope) -> Effect<Vec<VolumeFacts>> {
        let subject = CallSubject::read("docker.volumes", "volumes", "");
        self.send(subject, async |client| listing::volumes(&client, scope).await).await
    }

    async fn networks(&self, scope: &Scope) -> Effect<Vec<NetworkFacts>> {
        let subject = CallSubject::read("docker.networks", "networks", "");
        self.send(subject, async |client| listing::networks(&client, scope).await).await
    }

    async fn tuning(&self, container_id: &str) -> Effect<Tuning> {
        let subject = CallSubject::read("docker.tuning", "container", paths::segment(container_id)?);
        let found = self.send(subject, async |client| client.inspect_container(container_id, None).await).await?;
        Ok(inspect::tuning(found.host_config.unwrap_or_default()))
    }

    async fn about(&self) -> Effect<EngineFacts> {
        let subject = CallSubject::read("docker.about", "engine", "");
        let info = self.send(subject, async |client| client.info().await).await?;
        let time = info.system_time.and_then(|time| time.parse::<jiff::Timestamp>().ok());
        Ok(EngineFacts {
            version: info.server_version.unwrap_or_default(),
            kernel: info.kernel_version.unwrap_or_default(),
            time: time.map(|time| Timestamp(time.as_microsecond())),
            data_dir: info.docker_root_dir.unwrap_or_default(),
            memory_mib: info.mem_total.and_then(|bytes| u32::try_from(bytes / (1024 * 1024)).ok()).unwrap_or_default(),
            cores: info.ncpu.and_then(|cores| u32::try_from(cores).ok()).unwrap_or_default(),
        })
    }

    /// Asks for the Engine's own time first: the stream then repeats the events since that time.
    async fn events(&self) -> Effect<EngineEvents> {
        let subject = CallSubject::read(engine_events::CALL, "engine", "");
        let info = self.send(subject, async |client| client.info().await).await?;
        let client = self.session.client(engine_events::CALL).await?;
        Ok(engine_events::since(&client, info.system_time.as_deref().unwrap_or_default()))
    }

    async fn image(&self, image: &str) -> Effect<Option<ImageFacts>> {
        let subject = CallSubject::read("docker.image", "image", paths::segment(image)?);
        match self.send(subject, async |client| client.inspect_image(image).await).await {
            Ok(found) => Ok(Some(inspect::image(&found))),
            Err(EffectError::Rejected(Rejection::ImageMissing(_))) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn create_volume(&self, name: &str, labels: &Labels) -> Effect<VolumeFacts> {
        // Without a name the Engine would choose one.
        let subject = CallSubject::change("docker.create_volume", "volume", paths::segment(name)?);
        let volume =
            self.send(subject, async |client| client.create_volume(create::volume(name, labels)).await).await?;
        Ok(listing::volume(volume))
    }

    async fn remove_volume(&self, name: &str) -> Effect<()> {
        let subject = CallSubject::change("docker.remove_volume", "volume", paths::segment(name)?);
        self.send(subject, async |client| client.remove_volume(name, None::<RemoveVolumeOptions>).await).await
    }

    async fn create_network(&self, spec: &NetworkSpec) -> Effect<String> {
        let subject = CallSubject::change("docker.create_network", "network", paths::segment(&spec.name)?);
        let request = create::network(spec);
        let body = create::network_json(&request).map_err(|error| invalid(error.to_string()))?;
        let made = self
            .send_raw(subject.call, async |client| session::with_body(client, body).create_network(request).await)
            .await?;
        match (made.as_ref().err().and_then(class_of), spec.subnet) {
            (Some(AnswerClass::NameTaken), _) => Err(self.network_name_taken(subject.call, &spec.name).await),
            (Some(AnswerClass::SubnetTaken), Some(subnet)) => Err(Rejection::SubnetOverlap(subnet).into()),
            _ => made.map(|network| network.id).map_err(|error| effect_error(subject, error)),
        }
    }

    async fn remove_network(&self, id: &str) -> Effect<()> {
        let subject = CallSubject::change("docker.remove_network", "network", paths::segment(id)?);
        self.send(subject, async |client| client.remove_network(id).await).await
    }

    async fn connect(&self, network_id: &str, container_id: &str) -> Effect<()> {
        let subject = CallSubject::change("docker.connect", "container", container_id);
        self.expect_network(subject.call, network_id).await?;
        let request = NetworkConnectRequest { container: container_id.to_owned(), endpoint_config: None };
        let done =
            self.send_raw(subject.call, async |client| client.connect_network(network_id, request).await).await?;
        match done {
            Err(error) if class_of(&error) == Some(AnswerClass::Done) => Ok(()),
            other => other.map_err(|error| effect_error(subject, error)),
        }
    }

    async fn create_container(&self, spec: &ContainerSpec, labels: &Labels) -> Effect<String> {
        const CALL: &str = "docker.create_container";
        // Without a name, be it the container's or a volume's, the Engine would choose one.
        for name in spec.mounts.iter().map(|mount| &mount.volume).chain([&spec.name]) {
            paths::segment(name)?;
        }
        if let Some(network) = &spec.network {
            self.expect_network(CALL, network).await?;
        }
        let options = CreateContainerOptions { name: Some(spec.name.clone()), ..Default::default() };
        let body = create::container(spec, labels);
        let made = self.send_raw(CALL, async |client| client.create_container(Some(options), body).await).await?;
        match made.as_ref().err().and_then(class_of) {
            Some(AnswerClass::NameTaken) => Err(self.container_name_taken(CALL, &spec.name).await),
            Some(AnswerClass::ImageMissing) => Err(Rejection::ImageMissing(spec.image.clone()).into()),
            _ => made
                .map(|container| container.id)
                .map_err(|error| effect_error(CallSubject::change(CALL, "container", &spec.name), error)),
        }
    }

    async fn start_container(&self, id: &str) -> Effect<()> {
        let subject = CallSubject::change("docker.start_container", "container", paths::segment(id)?);
        self.send(subject, async |client| client.start_container(id, None::<StartContainerOptions>).await).await
    }

    async fn stop_container(&self, id: &str, grace_s: u16) -> Effect<()> {
        let subject = CallSubject::change("docker.stop_container", "container", paths::segment(id)?);
        let options = StopContainerOptions { signal: None, t: Some(grace_s.into()) };
        self.send(subject, async |client| client.stop_container(id, Some(options)).await).await
    }

    async fn remove_container(&self, id: &str) -> Effect<()> {
        let subject = CallSubject::change("docker.remove_container", "container", paths::segment(id)?);
        // `v` takes the nameless volumes of an image's VOLUME lines along, which carry no labels and would
        // stay for ever; named volumes are not concerned.
        let options = RemoveContainerOptions { force: true, v: true, ..Default::default() };
        self.send(subject, async |client| client.remove_container(id, Some(options)).await).await
    }

    async fn upload(&self, container_id: &str, dir: &str, entries: &[ArchiveEntry]) -> Effect<()> {
        let subject = CallSubject::change("docker.upload", "container", paths::segment(container_id)?);
        let refused = |error| archive_error(subject.call, error);
        let path = paths::directory(dir)?.to_owned();
        for entry in entries {
            paths::entry(&entry.path)?;
        }
        let packed = archive::pack(entries).map_err(refused)?;
        let options = UploadToContainerOptions { path, ..Default::default() };
        // As a stream, because bollard logs whole bodies at its most verbose level, and these hold secrets.
        let body = bollard::body_stream(stream::iter([packed]));
        self.send(subject, async |client| client.upload_to_container(container_id, Some(options), body).await).await
    }

    async fn download(&self, container_id: &str, dir: &str) -> Effect<Vec<ArchiveEntry>> {
        let subject = CallSubject::read("docker.download", "container", paths::segment(container_id)?);
        let failed = |error| archive_error(subject.call, error);
        let dir = paths::directory(dir)?;
        let packed: Result<Bytes, _> = self
            .send(subject, async |client| archive::fetch(&client, container_id, archive::contents_of(dir)).await)
            .await?;
        packed.and_then(|packed| archive::unpack(&packed)).map_err(failed)
    }

    async fn download_file(&self, container_id: &str, path: &str) -> Effect<Option<ArchiveEntry>> {
        let subject = CallSubject::read("docker.download", "container", paths::segment(container_id)?);
        let failed = |error| archive_error(subject.call, error);
        let path = paths::file(path)?;
        let packed: Result<Bytes, _> =
            self.send(subject, async |client| archive::fetch(&client, container_id, path.to_owned()).await).await?;
        let entries = packed.and_then(|packed| archive::unpack(&packed)).map_err(failed)?;
        // A directory comes with all that is below it.
        let name = path.rsplit('/').next();
        let file = entries.into_iter().find(|entry| Some(entry.path.as_str()) == name);
        Ok(file.map(|file| ArchiveEntry { path: path.to_owned(), ..file }))
    }

    async fn exec(&self, container_id: &str, exec: &Exec) -> Effect<ExecOutput> {
        // Preparing runs nothing, so a lost answer is no unknown outcome.
        let subject = CallSubject::read(exec::CALL, "container", paths::segment(container_id)?);
        let prepared =
            self.send(subject, async |client| client.create_exec(container_id, exec::config(exec)).await).await?;
        let client = self.session.client(exec::CALL).await?;
        exec::run(&client, &prepared.id, container_id, exec.stdin.clone()).await
    }

    async fn usage(&self, container_id: &str, dir: &str) -> Effect<FilesUsage> {
        disk::usage(self, container_id, dir).await
    }

    async fn space(&self, container_id: &str) -> Effect<DiskSpace> {
        disk::space(self, container_id).await
    }

    async fn log(&self, container_id: &str, query: LogQuery) -> Effect<Vec<LogLine>> {
        let subject = CallSubject::read("docker.log", "container", paths::segment(container_id)?);
        self.send(subject, async |client| log::fetch(&client, container_id, query).await).await
    }
}
