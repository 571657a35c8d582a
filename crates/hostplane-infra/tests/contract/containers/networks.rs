//! Networks.

use hostplane_domain::container::ContainerSpec;
use hostplane_infra::containers::{ContainerState, NetworkSpec, Scope};
use hostplane_infra::error::{EffectError, Rejection};
use ipnet::Ipv4Net;

use super::bed::{Bed, eventually, invalid, make_network, mark, not_found, owner_of, rejected, transient};

pub async fn made_listed_and_removed(bed: &Bed) {
    let engine = &bed.containers;
    let (id, subnet) = bed.network("n", 28).await;
    bed.network("n-2", 28).await;
    let named = async || engine.networks(&Scope::Names(vec![bed.name("n")])).await.unwrap();
    let found = named().await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((&found[0].id, &found[0].name), (&id, &bed.name("n")));
    assert_eq!(found[0].labels, bed.labels());
    assert_eq!(found[0].subnets, [subnet]);
    assert_eq!(found[0].gateway, subnet.hosts().next());
    assert_eq!(engine.networks(&bed.scope()).await.unwrap().len(), 2);
    assert!(engine.networks(&Scope::Names(Vec::new())).await.unwrap().is_empty());
    assert!(engine.networks(&Scope::All).await.unwrap().contains(&found[0]));

    engine.remove_network(&id).await.unwrap();
    assert!(named().await.is_empty());
    not_found(engine.remove_network(&id).await);
}

pub async fn name_taken(bed: &Bed) {
    bed.network("n", 28).await;
    let spec = NetworkSpec { name: bed.name("n"), subnet: None, labels: bed.labels() };
    match rejected(bed.containers.create_network(&spec).await) {
        Rejection::NameTaken { what: "network", name, owner } => {
            assert_eq!(name, spec.name);
            assert!(owner.starts_with("somebody else (network "), "{owner}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(bed.containers.networks(&bed.scope()).await.unwrap().len(), 1);
}

pub async fn name_taken_by_a_site(bed: &Bed) {
    let mark = mark();
    let labels = bed.labels().into_iter().chain(mark.to_labels()).collect();
    let (id, _) = make_network(&*bed.containers, &bed.name("n"), &labels, 28).await;
    let spec = NetworkSpec { name: bed.name("n"), subnet: None, labels };
    match rejected(bed.containers.create_network(&spec).await) {
        Rejection::NameTaken { what: "network", owner, .. } => assert_eq!(owner, owner_of(&mark)),
        other => panic!("{other:?}"),
    }
    bed.containers.remove_network(&id).await.unwrap();
}

pub async fn subnet_overlap(bed: &Bed) {
    let (_, subnet) = bed.network("n", 28).await;
    let larger = Ipv4Net::new(subnet.network(), 27).unwrap().trunc();
    let smaller = Ipv4Net::new(subnet.network(), 29).unwrap();
    for overlapping in [subnet, larger, smaller] {
        let spec = NetworkSpec { name: bed.name("n-2"), subnet: Some(overlapping), labels: bed.labels() };
        assert_eq!(rejected(bed.containers.create_network(&spec).await), Rejection::SubnetOverlap(overlapping));
    }
    assert_eq!(bed.containers.networks(&bed.scope()).await.unwrap().len(), 1);
}

pub async fn ambiguous_name(bed: &Bed) {
    let engine = &bed.containers;
    let (first, _) = bed.network("n", 28).await;
    let (spare, subnet) = bed.network("spare", 28).await;
    engine.remove_network(&spare).await.unwrap();
    let mut spec = bed.spec("c");
    spec.network = Some(bed.name("n"));
    let early = bed.create(&spec).await;
    bed.hands.second_network(&bed.name("n"), &bed.labels(), subnet).await;

    let found = engine.networks(&Scope::Names(vec![bed.name("n")])).await.unwrap();
    assert_eq!(found.len(), 2, "both are listed: {found:?}");
    let second = found.iter().map(|network| &network.id).find(|id| **id != first).expect("another id");
    // What is done by name can't be done any more, and nothing is done.
    let late = ContainerSpec { name: bed.name("late"), ..spec };
    invalid(engine.create_container(&late, &bed.labels()).await);
    assert_eq!(bed.facts("late").await, None);
    invalid(engine.start_container(&early).await);
    assert_eq!(bed.state("c").await, Some(ContainerState::Created));
    let named = NetworkSpec { name: bed.name("n"), subnet: None, labels: bed.labels() };
    let refusal = rejected(engine.create_network(&named).await);
    assert!(matches!(refusal, Rejection::NameTaken { what: "network", .. }), "{refusal:?}");
    // An id is none of the two names, and with one of them gone the name means the other.
    engine.remove_network(second).await.unwrap();
    engine.start_container(&early).await.unwrap();
    assert_eq!(bed.facts("c").await.unwrap().networks, [bed.name("n")]);
}

/// Ids that nothing can have.
pub async fn bad_id(bed: &Bed) {
    let id = bed.create(&bed.spec("c")).await;
    for odd in ["", "a b", "..", "../containers", "?x=y"] {
        invalid(bed.containers.remove_network(odd).await);
        invalid(bed.containers.connect(odd, &id).await);
        let spec = NetworkSpec { name: odd.to_owned(), subnet: None, labels: bed.labels() };
        invalid(bed.containers.create_network(&spec).await);
        let spec = ContainerSpec { network: Some(odd.to_owned()), ..bed.spec("d") };
        invalid(bed.containers.create_container(&spec, &bed.labels()).await);
    }
}

pub async fn active_endpoints(bed: &Bed) {
    let (network, _) = bed.network("n", 28).await;
    let mut spec = bed.spec("c");
    spec.network = Some(bed.name("n"));
    let id = bed.create(&spec).await;
    bed.containers.start_container(&id).await.unwrap();
    transient(bed.containers.remove_network(&network).await);
    bed.containers.remove_container(&id).await.unwrap();
    eventually("the network is let go", async || bed.containers.remove_network(&network).await.map(|()| true)).await;
}

pub async fn removed_under_a_stopped_container(bed: &Bed) {
    let (network, _) = bed.network("n", 28).await;
    let mut spec = bed.spec("c");
    spec.network = Some(bed.name("n"));
    let id = bed.create(&spec).await;
    bed.containers.remove_network(&network).await.expect("a container that doesn't run holds no network");
    assert_eq!(not_found(bed.containers.start_container(&id).await), format!("network {}", bed.name("n")));
    // One of the same name will do, until the container has run once.
    let (second, _) = bed.network("n", 28).await;
    bed.containers.start_container(&id).await.expect("names resolve at the first start");
    bed.containers.stop_container(&id, 0).await.unwrap();
    bed.containers.remove_network(&second).await.unwrap();
    bed.network("n", 28).await;
    assert_eq!(not_found(bed.containers.start_container(&id).await), format!("network {second}"));
}

pub async fn connect(bed: &Bed) {
    let engine = &bed.containers;
    bed.network("n", 28).await;
    let (second, _) = bed.network("n-2", 28).await;
    let (third, _) = bed.network("n-3", 28).await;
    let mut spec = bed.spec("c");
    spec.network = Some(bed.name("n"));
    let id = bed.create(&spec).await;
    not_found(engine.connect(&bed.name("none"), &id).await);
    not_found(engine.connect(&second, &bed.name("none")).await);
    engine.connect(&second, &id).await.unwrap();
    engine.connect(&second, &id).await.expect("connected already, before the start");
    engine.start_container(&id).await.unwrap();
    engine.connect(&second, &id).await.expect("connected already, while it runs");
    engine.connect(&third, &id).await.unwrap();
    engine.connect(&third, &id).await.expect("connected already, while it runs");
    let networks = bed.facts("c").await.unwrap().networks;
    assert_eq!(networks, [bed.name("n"), bed.name("n-2"), bed.name("n-3")]);
    transient(engine.remove_network(&third).await);
}

pub async fn connect_without_any_network(bed: &Bed) {
    let (network, _) = bed.network("n", 28).await;
    let id = bed.create(&bed.spec("c")).await;
    assert!(bed.facts("c").await.unwrap().networks.is_empty());
    invalid(bed.containers.connect(&network, &id).await);
}

pub async fn full(bed: &Bed) {
    // Two addresses: the gateway's and one more.
    bed.network("n", 30).await;
    for (what, fits) in [("one", true), ("two", false)] {
        let mut spec = bed.spec(what);
        spec.network = Some(bed.name("n"));
        let id = bed.create(&spec).await;
        let started = bed.containers.start_container(&id).await;
        if fits {
            started.unwrap();
        } else {
            let rejection = rejected(started);
            assert!(matches!(rejection, Rejection::Capacity(_)), "{rejection:?}");
        }
    }
}

pub async fn full_for_one_that_runs(bed: &Bed) {
    // Two addresses: the gateway's and one more.
    let (full, _) = bed.network("full", 30).await;
    bed.network("n", 28).await;
    let run = async |what: &str| {
        let mut spec = bed.spec(what);
        spec.network = Some(bed.name("n"));
        let id = bed.create(&spec).await;
        bed.containers.start_container(&id).await.unwrap();
        id
    };
    let (one, two) = (run("one").await, run("two").await);
    bed.containers.connect(&full, &one).await.unwrap();
    let rejection = rejected(bed.containers.connect(&full, &two).await);
    assert!(matches!(rejection, Rejection::Capacity(_)), "{rejection:?}");
    assert_eq!(bed.facts("two").await.unwrap().networks, [bed.name("n")], "nothing was done");
    bed.containers.stop_container(&one, 0).await.unwrap();
    eventually("the address comes free", async || match bed.containers.connect(&full, &two).await {
        Err(EffectError::Rejected(Rejection::Capacity(_))) => Ok(false),
        other => other.map(|()| true),
    })
    .await;
}
