//! Volumes.

use hostplane_domain::mark::Labels;
use hostplane_infra::containers::Scope;

use super::harness::{Harness, eventually, invalid, not_found, transient};

pub async fn made_listed_and_removed(harness: &Harness) {
    let engine = &harness.containers;
    let name = harness.name("v");
    let made = engine.create_volume(&name, &harness.labels()).await.unwrap();
    assert_eq!((made.name.as_str(), &made.labels), (name.as_str(), &harness.labels()));
    // A name that has the other as a part must not come up under it.
    let longer = harness.name("v-2");
    engine.create_volume(&longer, &harness.labels()).await.unwrap();

    let named = async |names: &[&str]| {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        let volumes = engine.volumes(&Scope::Names(names)).await.unwrap();
        volumes.into_iter().map(|volume| volume.name).collect::<Vec<_>>()
    };
    assert_eq!(named(&[&name]).await, [name.as_str()]);
    assert_eq!(named(&[&name, &harness.name("none")]).await, [name.as_str()]);
    assert!(named(&[]).await.is_empty(), "no names are none, not all");
    assert_eq!(named(&[&harness.name("V")]).await, [""; 0]);
    assert_eq!(engine.volumes(&harness.scope()).await.unwrap().len(), 2);
    assert!(engine.volumes(&Scope::All).await.unwrap().contains(&made));
    let many = (0..100).map(|number| harness.name(&number.to_string())).chain([name.clone()]).collect();
    assert_eq!(engine.volumes(&Scope::Names(many)).await.unwrap(), [made]);

    engine.remove_volume(&name).await.unwrap();
    assert!(named(&[&name]).await.is_empty());
    not_found(engine.remove_volume(&name).await);
}

pub async fn existing_keeps_its_labels(harness: &Harness) {
    let name = harness.name("v");
    harness.containers.create_volume(&name, &harness.labels()).await.unwrap();
    let other = Labels::from([("other".to_owned(), "owner".to_owned())]);
    let found = harness.containers.create_volume(&name, &other).await.unwrap();
    assert_eq!(found.labels, harness.labels());
}

pub async fn in_use(harness: &Harness) {
    let name = harness.name("v");
    harness.containers.create_volume(&name, &harness.labels()).await.unwrap();
    let mut spec = harness.spec("c");
    spec.mounts.push(harness.mount("v", "/data"));
    let id = harness.create(&spec).await;
    transient(harness.containers.remove_volume(&name).await);
    harness.containers.remove_container(&id).await.unwrap();
    eventually("the volume is let go", async || harness.containers.remove_volume(&name).await.map(|()| true)).await;
}

pub async fn made_in_passing(harness: &Harness) {
    let mut spec = harness.spec("c");
    spec.mounts.push(harness.mount("v", "/data"));
    let id = harness.create(&spec).await;
    let scope = Scope::Names(vec![harness.name("v")]);
    let volumes = harness.containers.volumes(&scope).await.unwrap();
    assert_eq!(volumes.first().map(|volume| &volume.labels), Some(&harness.labels()));
    harness.containers.remove_container(&id).await.unwrap();
    assert_eq!(harness.containers.volumes(&scope).await.unwrap(), volumes, "a volume outlives its containers");
}

pub async fn existing_is_mounted_as_it_is(harness: &Harness) {
    let theirs = Labels::from([("other".to_owned(), "owner".to_owned())]).into_iter().chain(harness.labels()).collect();
    harness.containers.create_volume(&harness.name("v"), &theirs).await.unwrap();
    let mut spec = harness.spec("c");
    spec.mounts.push(harness.mount("v", "/data"));
    harness.create(&spec).await;
    let found = harness.containers.volumes(&Scope::Names(vec![harness.name("v")])).await.unwrap();
    assert_eq!(found.first().map(|volume| &volume.labels), Some(&theirs));
}

pub async fn in_use_by_what_runs(harness: &Harness) {
    let mut spec = harness.spec("c");
    spec.mounts.push(harness.mount("v", "/data"));
    let id = harness.create(&spec).await;
    harness.containers.start_container(&id).await.unwrap();
    transient(harness.containers.remove_volume(&harness.name("v")).await);
    harness.containers.stop_container(&id, 0).await.unwrap();
    transient(harness.containers.remove_volume(&harness.name("v")).await);
    let found = harness.containers.volumes(&Scope::Names(vec![harness.name("v")])).await.unwrap();
    assert_eq!(found.len(), 1, "nothing was done");
}

/// Names that no volume can have.
pub async fn bad_name(harness: &Harness) {
    for name in ["", "a b", "..", "../etc", "?x=y"] {
        invalid(harness.containers.create_volume(name, &harness.labels()).await);
        invalid(harness.containers.remove_volume(name).await);
    }
    invalid(harness.containers.create_volume("no/volume", &harness.labels()).await);
    not_found(harness.containers.remove_volume("no/volume").await);
}
