//! Which objects a scope means.

use hostplane_domain::mark::{LABEL_INSTANCE, LABEL_SITE_ID, Labels, Mark};
use hostplane_infra::containers::Scope;

use super::harness::{Harness, make_network, mark};

/// A label's value is meant whole, and so are its name and a list of names, however long.
pub async fn scopes_are_exact(harness: &Harness) {
    let engine = &harness.containers;
    let key = format!("{}.owner", harness.prefix);
    for (what, value) in [("one", "site"), ("two", "site-2"), ("three", "")] {
        let mut labels = harness.labels();
        labels.insert(key.clone(), value.to_owned());
        engine.create_volume(&harness.name(what), &labels).await.unwrap();
        make_network(&**engine, &harness.name(what), &labels, 29).await;
        engine.create_container(&harness.spec(what), &labels).await.unwrap();
    }
    let other = Labels::from([(format!("{key}s"), "site".to_owned())]).into_iter().chain(harness.labels()).collect();
    engine.create_volume(&harness.name("four"), &other).await.unwrap();

    let found = async |scope: Scope| {
        let containers = engine.containers(&scope).await.unwrap().into_iter().map(|found| found.name);
        let volumes = engine.volumes(&scope).await.unwrap().into_iter().map(|found| found.name);
        let networks = engine.networks(&scope).await.unwrap().into_iter().map(|found| found.name);
        [containers.collect::<Vec<_>>(), volumes.collect(), networks.collect()]
    };
    let each = |what: &str| [vec![harness.name(what)], vec![harness.name(what)], vec![harness.name(what)]];
    let labelled = |value: &str| Scope::Label(key.clone(), value.to_owned());
    assert_eq!(found(labelled("site")).await, each("one"));
    assert_eq!(found(labelled("site-2")).await, each("two"));
    assert_eq!(found(labelled("")).await, each("three"));
    assert_eq!(found(labelled("sit")).await, [vec![""; 0], vec![], vec![]]);
    let many: Vec<String> =
        (0..100).map(|number| harness.name(&number.to_string())).chain([harness.name("two")]).collect();
    assert_eq!(found(Scope::Names(many)).await, each("two"));
    assert_eq!(found(Scope::Names(vec![harness.name("tw.")])).await, [vec![""; 0], vec![], vec![]]);
}

/// The labels of a mark select like all others, and the facts keep the mark apart from other labels.
pub async fn a_mark_is_kept_apart_from_other_labels(harness: &Harness) {
    let engine = &harness.containers;
    // A site that no other case has.
    let mut site = mark();
    site.site.id = format!("00000000-0000-7000-9000-{:012x}", fastrand::u64(..1 << 48)).parse().unwrap();
    let labels: Labels = harness.labels().into_iter().chain(site.to_labels()).collect();
    engine.create_volume(&harness.name("v"), &labels).await.unwrap();
    make_network(&**engine, &harness.name("n"), &labels, 29).await;
    engine.create_container(&harness.spec("c"), &labels).await.unwrap();
    let of_site = Scope::Label(LABEL_SITE_ID.to_owned(), site.site.id.to_string());
    let is_apart = |mark: Option<Mark>, labels: &Labels| {
        mark.as_ref() == Some(&site)
            && !labels.contains_key(LABEL_INSTANCE)
            && harness.labels().keys().all(|key| labels.contains_key(key))
    };
    let [container] = &engine.containers(&of_site).await.unwrap()[..] else { panic!("one container") };
    assert!(
        container.name == harness.name("c") && is_apart(container.mark.clone(), &container.labels),
        "{container:?}"
    );
    let [volume] = &engine.volumes(&of_site).await.unwrap()[..] else { panic!("one volume") };
    assert!(volume.name == harness.name("v") && is_apart(volume.mark.clone(), &volume.labels), "{volume:?}");
    let [network] = &engine.networks(&of_site).await.unwrap()[..] else { panic!("one network") };
    assert!(network.name == harness.name("n") && is_apart(network.mark.clone(), &network.labels), "{network:?}");
}
