//! Visitors by IPv6.

use crate::instance::Instance;

#[test]
fn visitors_come_by_ipv6_where_the_host_has_it() {
    let interfaces = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    if interfaces.is_empty() {
        println!("this machine has no IPv6, so the Engine publishes nothing by it");
        return;
    }
    let instance = Instance::up();
    let asked = |address: &str| {
        let url = format!("http://{address}:{}/", instance.http_port);
        let options = ["--silent", "--noproxy", "*", "--max-time", "10", "--header", "Host: nobody.example"];
        let asked = instance.within("curl").args(options).arg(&url).output().expect("curl runs");
        String::from_utf8_lossy(&asked.stdout).into_owned()
    };
    let page = "No site is served under this name.";
    assert_eq!((asked("127.0.0.1").as_str(), asked("[::1]").as_str()), (page, page));
}
