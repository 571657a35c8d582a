//! The installation's secret is rotated, with a kill in the middle: what the old one opened is closed, and what serves
//! goes on.

use std::fs;

use hostplane_domain::secret::{Keyring, MasterSecret};
use hostplane_engine::platform::Platform;
use secrecy::ExposeSecret;

use crate::instance::Instance;
use crate::probe::Probe;

/// MariaDB's control password from each generation that the home has, the oldest first.
fn control_passwords(instance: &Instance) -> Vec<String> {
    let text = fs::read_to_string(instance.home().join("secret")).expect("the secret");
    let generation = |line: &str| {
        let (number, digits) = line.split_once(' ').expect("a number and digits");
        let bytes = hex::decode(digits).expect("digits").try_into().expect("32 bytes");
        (number.parse().expect("a number"), MasterSecret::new(bytes))
    };
    let ring = Keyring::of(text.lines().map(generation)).expect("generations");
    let mut all: Vec<_> =
        Platform::mariadb_passwords(&ring).iter().map(|password| password.expose_secret().to_owned()).collect();
    all.reverse();
    all
}

fn database_password(instance: &Instance, site: &str) -> String {
    let program = "require '/etc/hostplane/wp-config.php'; echo DB_PASSWORD;";
    instance.done(&["site", "exec", site, "--", "php", "-r", program]).stdout
}

/// Tests if MariaDB accepts a password, from inside a site.
fn is_let_in(instance: &Instance, site: &str, user: &str, password: &str) -> bool {
    let port = instance.setting("MARIADB_PORT");
    let program = format!(
        "mysqli_report(MYSQLI_REPORT_OFF); $db = @mysqli_connect('host.docker.internal', '{user}', '{password}', '', \
         {port}); echo $db ? 'in' : mysqli_connect_errno();"
    );
    let answer = instance.done(&["site", "exec", site, "--", "php", "-r", &program]).stdout;
    assert!(answer == "in" || answer == "1045", "{answer}");
    answer == "in"
}

#[test]
fn an_old_secret_opens_nothing_after_rotation() {
    let mut instance = Instance::up();
    let [site, other] = ["rotated", "beside"].map(|name| instance.site(name));
    instance.create(&site);
    instance.create(&other);
    let admin = instance.done(&["site", "credentials", &site, "--json"]).stdout;
    let before = database_password(&instance, &site);
    let user = format!("wp_{site}");
    assert!(is_let_in(&instance, &site, &user, &before), "the probe reaches it, given the password");
    assert!(is_let_in(&instance, &site, "hostplane", &control_passwords(&instance)[0]));

    instance.done(&["secret", "rotate", "--yes"]);
    // Whatever it was at: the rotation goes on.
    instance.kill();
    instance.start();
    instance.until("every site's rotation", std::time::Duration::from_secs(90), |instance| {
        instance.done(&["secret", "show", "--json"]).json()["sites_behind"] == 0
    });

    let control = control_passwords(&instance);
    assert_eq!(control.len(), 2);
    assert!(!is_let_in(&instance, &site, &user, &before));
    assert!(!is_let_in(&instance, &site, "hostplane", &control[0]));
    assert!(is_let_in(&instance, &site, "hostplane", &control[1]));
    let after = database_password(&instance, &site);
    assert!(after != before && is_let_in(&instance, &site, &user, &after));
    assert_eq!(instance.done(&["site", "credentials", &site, "--json"]).stdout, admin);
    let visitor = Probe::of(&instance, &site);
    instance.create(&instance.site("later"));
    visitor.end().assert_unharmed(5);
    for site in [&site, &other, &instance.site("later")] {
        instance.destroy(site);
        assert_eq!(instance.traces_of(site), Vec::<String>::new());
    }
}
