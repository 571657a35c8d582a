//! Containers from their making to their end.

use hostplane_infra::containers::{ContainerState, Exec, Scope};
use hostplane_infra::error::{EffectError, Rejection};

use super::bed::{Bed, eventually, file, not_found, rejected};

pub async fn ping(bed: &Bed) {
    bed.containers.ping().await.unwrap();
}

pub async fn images(bed: &Bed) {
    assert!(bed.containers.image_exists(&bed.image).await.unwrap());
    assert!(!bed.containers.image_exists("hostplane.test/no/such:image").await.unwrap());
}

pub async fn made_and_listed(bed: &Bed) {
    let engine = &bed.containers;
    bed.network("n", 28).await;
    let mut spec = bed.spec("c");
    spec.network = Some(bed.name("n"));
    let id = bed.create(&spec).await;
    bed.create(&bed.spec("c-2")).await;

    let found = engine.containers(&Scope::Names(vec![spec.name.clone()])).await.unwrap();
    assert_eq!(found.len(), 1, "names are exact: {found:?}");
    assert_eq!((&found[0].id, &found[0].name, &found[0].image), (&id, &spec.name, &spec.image));
    assert_eq!((found[0].state, &found[0].networks), (ContainerState::Created, &vec![bed.name("n")]));
    // The image's labels are there too.
    for label in bed.labels() {
        assert_eq!(found[0].labels.get(&label.0), Some(&label.1));
    }
    assert_eq!(engine.containers(&bed.scope()).await.unwrap().len(), 2);
    assert!(engine.containers(&Scope::Names(Vec::new())).await.unwrap().is_empty());
    assert!(engine.containers(&Scope::All).await.unwrap().iter().any(|facts| facts.id == id));
    let pattern = Scope::Names(vec![format!("{}.c", bed.prefix)]);
    assert!(engine.containers(&pattern).await.unwrap().is_empty(), "names are no patterns");
}

pub async fn name_taken(bed: &Bed) {
    let id = bed.create(&bed.spec("c")).await;
    match rejected(bed.containers.create_container(&bed.spec("c"), &bed.labels()).await) {
        Rejection::NameTaken { what: "container", name, owner } => {
            assert_eq!(name, bed.name("c"));
            assert_eq!(owner, format!("somebody else (container {})", &id[..12]));
        }
        other => panic!("{other:?}"),
    }
}

pub async fn image_missing(bed: &Bed) {
    let mut spec = bed.spec("c");
    "hostplane.test/no/such:image".clone_into(&mut spec.image);
    let refused = rejected(bed.containers.create_container(&spec, &bed.labels()).await);
    assert_eq!(refused, Rejection::ImageMissing(spec.image));
    assert_eq!(bed.facts("c").await, None);
}

pub async fn network_missing(bed: &Bed) {
    let mut spec = bed.spec("c");
    spec.network = Some(bed.name("n"));
    let missing = not_found(bed.containers.create_container(&spec, &bed.labels()).await);
    assert_eq!(missing, format!("network {}", bed.name("n")));
    assert_eq!(bed.facts("c").await, None, "nothing is made");
}

pub async fn started_stopped_and_removed(bed: &Bed) {
    let engine = &bed.containers;
    let id = bed.create(&bed.spec("c")).await;
    engine.stop_container(&id, 0).await.expect("it never ran: stopped already");
    assert_eq!(bed.state("c").await, Some(ContainerState::Created));
    engine.start_container(&id).await.unwrap();
    engine.start_container(&id).await.expect("running already");
    assert_eq!(bed.state("c").await, Some(ContainerState::Running));
    engine.stop_container(&id, 0).await.unwrap();
    assert_eq!(bed.state("c").await, Some(ContainerState::Exited));
    engine.stop_container(&id, 0).await.expect("stopped already");
    engine.start_container(&id).await.expect("once more");
    engine.remove_container(&id).await.expect("a running container is killed");
    assert_eq!(bed.state("c").await, None);
    not_found(engine.remove_container(&id).await);
    eventually("the name is free", async || {
        engine.create_container(&bed.spec("c"), &bed.labels()).await.map(|second| second != id)
    })
    .await;
}

pub async fn absent_is_not_found(bed: &Bed) {
    let engine = &bed.containers;
    let id = "0123456789ab".repeat(5) + "0123";
    let named = format!("container {id}");
    assert_eq!(not_found(engine.start_container(&id).await), named);
    assert_eq!(not_found(engine.stop_container(&id, 0).await), named);
    assert_eq!(not_found(engine.remove_container(&id).await), named);
    assert_eq!(not_found(engine.upload(&id, "/tmp", &[file("a", "b")]).await), named);
    assert_eq!(not_found(engine.download(&id, "/tmp").await), named);
    let exec = Exec { argv: vec!["true".to_owned()], user: None, stdin: bytes::Bytes::new() };
    assert_eq!(not_found(engine.exec(&id, &exec).await), named);
    assert_eq!(not_found(engine.remove_network(&id).await), format!("network {id}"));
    assert_eq!(not_found(engine.remove_volume(&bed.name("v")).await), format!("volume {}", bed.name("v")));
}

pub async fn removed_twice_at_once(bed: &Bed) {
    let id = bed.run("c").await;
    let remove = || bed.containers.remove_container(&id);
    let (spec, labels) = (bed.spec("c"), bed.labels());
    let (one, two, made) = tokio::join!(remove(), remove(), bed.containers.create_container(&spec, &labels));
    for result in [one, two] {
        let fine = matches!(result, Ok(()) | Err(EffectError::NotFound(_) | EffectError::Transient { .. }));
        assert!(fine, "{result:?}");
    }
    // Until the Engine has killed it, the old one still looks like any that runs.
    let fine =
        matches!(made, Ok(_) | Err(EffectError::Transient { .. } | EffectError::Rejected(Rejection::NameTaken { .. })));
    assert!(fine, "{made:?}");
    eventually("the old one is gone", async || {
        Ok(bed.containers.containers(&bed.scope()).await?.iter().all(|facts| facts.id != id))
    })
    .await;
}

pub async fn port_taken(bed: &Bed) {
    let port = crate::port::free();
    for (what, fits) in [("one", true), ("two", false)] {
        bed.network(what, 28).await;
        let mut spec = bed.spec(what);
        spec.network = Some(bed.name(what));
        spec.publish = vec![("127.0.0.1".to_owned(), port, 80)];
        let id = bed.create(&spec).await;
        let started = bed.containers.start_container(&id).await;
        if fits {
            started.unwrap();
        } else {
            let error = started.unwrap_err();
            let taken = matches!(&error, EffectError::Rejected(Rejection::PortTaken(message)) if message.contains("port is already allocated"));
            assert!(taken, "{error}");
        }
    }
}
