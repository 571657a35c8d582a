//! Volumes.

use hostplane_domain::mark::Labels;
use hostplane_infra::containers::Scope;

use super::bed::{Bed, eventually, invalid, not_found, transient};

pub async fn made_listed_and_removed(bed: &Bed) {
    let engine = &bed.containers;
    let name = bed.name("v");
    let made = engine.create_volume(&name, &bed.labels()).await.unwrap();
    assert_eq!((made.name.as_str(), &made.labels), (name.as_str(), &bed.labels()));
    // A name that has the other as a part must not come up under it.
    let longer = bed.name("v-2");
    engine.create_volume(&longer, &bed.labels()).await.unwrap();

    let named = async |names: &[&str]| {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        let volumes = engine.volumes(&Scope::Names(names)).await.unwrap();
        volumes.into_iter().map(|volume| volume.name).collect::<Vec<_>>()
    };
    assert_eq!(named(&[&name]).await, [name.as_str()]);
    assert_eq!(named(&[&name, &bed.name("none")]).await, [name.as_str()]);
    assert!(named(&[]).await.is_empty(), "no names are none, not all");
    assert_eq!(named(&[&bed.name("V")]).await, [""; 0]);
    assert_eq!(engine.volumes(&bed.scope()).await.unwrap().len(), 2);
    assert!(engine.volumes(&Scope::All).await.unwrap().contains(&made));
    let many = (0..100).map(|number| bed.name(&number.to_string())).chain([name.clone()]).collect();
    assert_eq!(engine.volumes(&Scope::Names(many)).await.unwrap(), [made]);

    engine.remove_volume(&name).await.unwrap();
    assert!(named(&[&name]).await.is_empty());
    not_found(engine.remove_volume(&name).await);
}

pub async fn existing_keeps_its_labels(bed: &Bed) {
    let name = bed.name("v");
    bed.containers.create_volume(&name, &bed.labels()).await.unwrap();
    let other = Labels::from([("other".to_owned(), "owner".to_owned())]);
    let found = bed.containers.create_volume(&name, &other).await.unwrap();
    assert_eq!(found.labels, bed.labels());
}

pub async fn in_use(bed: &Bed) {
    let name = bed.name("v");
    bed.containers.create_volume(&name, &bed.labels()).await.unwrap();
    let mut spec = bed.spec("c");
    spec.mounts.push(bed.mount("v", "/data"));
    let id = bed.create(&spec).await;
    transient(bed.containers.remove_volume(&name).await);
    bed.containers.remove_container(&id).await.unwrap();
    eventually("the volume is let go", async || bed.containers.remove_volume(&name).await.map(|()| true)).await;
}

pub async fn made_in_passing(bed: &Bed) {
    let mut spec = bed.spec("c");
    spec.mounts.push(bed.mount("v", "/data"));
    let id = bed.create(&spec).await;
    let scope = Scope::Names(vec![bed.name("v")]);
    let volumes = bed.containers.volumes(&scope).await.unwrap();
    assert_eq!(volumes.first().map(|volume| &volume.labels), Some(&bed.labels()));
    bed.containers.remove_container(&id).await.unwrap();
    assert_eq!(bed.containers.volumes(&scope).await.unwrap(), volumes, "a volume outlives its containers");
}

pub async fn existing_is_mounted_as_it_is(bed: &Bed) {
    let theirs = Labels::from([("other".to_owned(), "owner".to_owned())]).into_iter().chain(bed.labels()).collect();
    bed.containers.create_volume(&bed.name("v"), &theirs).await.unwrap();
    let mut spec = bed.spec("c");
    spec.mounts.push(bed.mount("v", "/data"));
    bed.create(&spec).await;
    let found = bed.containers.volumes(&Scope::Names(vec![bed.name("v")])).await.unwrap();
    assert_eq!(found.first().map(|volume| &volume.labels), Some(&theirs));
}

pub async fn in_use_by_what_runs(bed: &Bed) {
    let mut spec = bed.spec("c");
    spec.mounts.push(bed.mount("v", "/data"));
    let id = bed.create(&spec).await;
    bed.containers.start_container(&id).await.unwrap();
    transient(bed.containers.remove_volume(&bed.name("v")).await);
    bed.containers.stop_container(&id, 0).await.unwrap();
    transient(bed.containers.remove_volume(&bed.name("v")).await);
    let found = bed.containers.volumes(&Scope::Names(vec![bed.name("v")])).await.unwrap();
    assert_eq!(found.len(), 1, "nothing was done");
}

/// Names that no volume can have.
pub async fn bad_name(bed: &Bed) {
    for name in ["", "a b", "..", "../etc", "?x=y"] {
        invalid(bed.containers.create_volume(name, &bed.labels()).await);
        invalid(bed.containers.remove_volume(name).await);
    }
    invalid(bed.containers.create_volume("no/volume", &bed.labels()).await);
    not_found(bed.containers.remove_volume("no/volume").await);
}
